//! Parameters: what the host may see, automate and save.

mod choices;
mod each;
mod help;
mod limits;
mod texts;

use std::sync::Arc;

use distill_shared::model::conditioning::Controls;
use distill_shared::player::Sampling;
use nice_plug::prelude::*;

use crate::engine::{Playing, Settings, Trigger};
use crate::envelope::Shape;
use crate::level_names::NameState;
use crate::pads::ClipState;
use crate::selection::Selection;
use limits::*;
use texts::{named, read_asked, read_count, show_asked, show_count};

pub use each::AnyParam;
pub use help::{HELP, help};
pub use limits::{LIMITS, Limit, Span};

/// Voices that may sound at once.
pub const MAX_VOICES: usize = 8;

/// Every parameter of the instrument, in the groups that hosts show, and which bundle it plays.
///
/// All are read by the audio thread once per stretch of samples without changes.
#[derive(Params)]
pub struct DistillParams {
    /// Which bundle is played. Changed by the host when it loads state, and by the editor.
    #[persist = "bundle"]
    pub selection: Selection,
    /// What lies on the pads. Changed by the host when it loads state, and by the editor.
    #[persist = "clips"]
    pub clips: ClipState,
    /// What levels of codes are called. Changed by the host when it loads state, and by the editor.
    #[persist = "levels"]
    pub level_names: NameState,
    /// How new sound is made.
    #[nested(group = "Prior")]
    pub prior: PriorParams,
    /// What sounds, and whether it goes on.
    #[nested(group = "Stream")]
    pub stream: StreamParams,
    /// What notes do.
    #[nested(group = "Notes")]
    pub notes: NoteParams,
    /// How a note comes and goes.
    #[nested(group = "Envelope")]
    pub envelope: EnvelopeParams,
    /// What goes to the host.
    #[nested(group = "Output")]
    pub output: OutputParams,
}

/// How new sound is made. Creativity, focus and diversity are how the prior draws; see [`Sampling`].
#[derive(Debug, Params)]
pub struct PriorParams {
    /// Which of countless performances is played, 0 to 9999. Not automatable.
    #[id = "seed"]
    pub seed: IntParam,
    /// Temperature of the prior's choices, 0 (always the likeliest) to 2.
    #[id = "temp"]
    pub temperature: FloatParam,
    /// By how much that is multiplied for what happens when, 0 to 2.
    #[id = "struc"]
    pub structure: FloatParam,
    /// By how much it is multiplied for what it sounds like, 0 to 2.
    #[id = "timbr"]
    pub timbre: FloatParam,
    /// By how much it is multiplied for grain and noise, 0 to 2.
    #[id = "detai"]
    pub detail: FloatParam,
    /// The prior chooses among the k likeliest codes, 1 to 256; 0 means among all.
    #[id = "topk"]
    pub top_k: IntParam,
    /// The prior chooses among the likeliest codes that together have this probability, 0 to 1.
    #[id = "topp"]
    pub top_p: FloatParam,
    /// How much going on with a copy of a recording is avoided, 0 to 1.
    #[id = "novel"]
    pub novelty: FloatParam,
    /// How much frames of the recordings are recalled, 0 to 1.
    #[id = "recal"]
    pub recall: FloatParam,
    /// How loud what follows shall be among the recordings, 0 (whatever comes) to 1.
    #[id = "loud"]
    pub loudness: FloatParam,
    /// How bright what follows shall be among the recordings, 0 (whatever comes) to 1.
    #[id = "brigh"]
    pub brightness: FloatParam,
    /// How fast sounds shall follow each other, 0 (whatever comes) to 1.
    #[id = "dens"]
    pub density: FloatParam,
    /// How many levels of codes are made, the coarse ones first: fewer cost less and sound duller. 0
    /// makes all. Not automatable.
    #[id = "levels"]
    pub levels: IntParam,
}

/// What sounds, and whether it goes on.
#[derive(Debug, Params)]
pub struct StreamParams {
    /// Notes, or one endless take: see [`Playing`]. Not automatable.
    #[id = "play"]
    pub playing: IntParam,
    /// After how many bars an endless take is replaced by the next. Not automatable.
    #[id = "restr"]
    pub restart: IntParam,
    /// Whether the newest sound goes on as it is, or what was heard last of an endless take is played
    /// again and again: see [`Hold`](crate::stream::Hold).
    #[id = "hold"]
    pub hold: IntParam,
    /// How long such a loop is.
    #[id = "lbars"]
    pub loop_bars: IntParam,
}

/// What notes do.
#[derive(Debug, Params)]
pub struct NoteParams {
    /// What the going down and coming up of a key does: see [`Trigger`]. Not automatable.
    #[id = "trig"]
    pub trigger: IntParam,
    /// How notes that are down together sound: see [`Voicing`](crate::engine::Voicing). Not automatable.
    #[id = "voicg"]
    pub voicing: IntParam,
    /// Whether a note that is held begins anew where a recording would end; otherwise it fades.
    #[id = "anew"]
    pub anew: BoolParam,
    /// What keys decide: see [`Keys`](crate::zones::Keys). Not automatable.
    #[id = "keys"]
    pub keys: IntParam,
    /// How many takes notes have before the first comes again, of each pitch or pad. Not automatable.
    #[id = "vari"]
    pub variations: IntParam,
    /// Whether takes are asked to begin as hard as their key was struck, as far as the bundle can be;
    /// otherwise velocity is level alone. Not automatable.
    #[id = "veloc"]
    pub velocity: BoolParam,
    /// Whether takes belong to the bars of the song, so that a bar sounds the same by itself as in the
    /// whole song; otherwise they are counted since playback began. Not automatable.
    #[id = "locked"]
    pub locked: BoolParam,
    /// By how many semitones all notes are raised, -12 to 12.
    #[id = "tune"]
    pub tune: FloatParam,
    /// Voices that may sound at once, 1 to 8. Not automatable.
    #[id = "voices"]
    pub voices: IntParam,
}

/// How a note comes and goes.
#[derive(Debug, Params)]
pub struct EnvelopeParams {
    /// Time from silence to full level in ms, 0 to 10 000.
    #[id = "attack"]
    pub attack: FloatParam,
    /// Time from full level to the sustain level in ms, 0 to 10 000.
    #[id = "decay"]
    pub decay: FloatParam,
    /// Level of a held key, 0 to 1.
    #[id = "sustn"]
    pub sustain: FloatParam,
    /// Time from full level to silence after the key is released in ms, 0 to 10 000.
    #[id = "reles"]
    pub release: FloatParam,
}

/// What goes to the host.
#[derive(Debug, Params)]
pub struct OutputParams {
    /// Volume in dB, -60 to 12.
    #[id = "gain"]
    pub gain: FloatParam,
    /// How wide the stereo image is, 0 (mono) to 2.
    #[id = "width"]
    pub width: FloatParam,
    /// Whether the host waits for sound that is late, for hosts that render faster than real time
    /// without saying so. Not automatable.
    #[id = "wait"]
    pub always_wait: BoolParam,
    /// Counts changes of the bundle. Hosts notice changed parameters only, and would not know that
    /// the project has to be saved. Hidden; changed by the editor.
    #[id = "choice"]
    pub choice: IntParam,
}

impl DistillParams {
    /// Parameters at their defaults, and `selection`.
    #[must_use]
    pub fn new(selection: Selection) -> Self {
        let clips = ClipState(Arc::clone(selection.instance()));
        let level_names = NameState(Arc::clone(selection.instance()));
        Self {
            selection,
            clips,
            level_names,
            prior: PriorParams::at_default(),
            stream: StreamParams {
                playing: named(PLAYING.whole("Play").non_automatable(), &texts::PLAYINGS),
                restart: named(RESTART.whole("Restart").non_automatable(), &texts::RESTARTS),
                hold: named(HOLD.whole("Hold"), &texts::HOLDS),
                loop_bars: named(LOOP.whole("Loop length"), &texts::LOOPS),
            },
            notes: NoteParams {
                trigger: named(TRIGGER.whole("Trigger").non_automatable(), &texts::TRIGGERS),
                voicing: named(VOICING.whole("Voicing").non_automatable(), &texts::VOICINGS),
                anew: BoolParam::new("Begin anew", ANEW),
                keys: named(KEYS.whole("Keys").non_automatable(), &texts::KEYS),
                variations: named(
                    VARIATIONS.whole("Variations").non_automatable(),
                    &texts::VARIATIONS,
                ),
                velocity: BoolParam::new("Follow velocity", VELOCITY).non_automatable(),
                locked: BoolParam::new("Lock to bars", LOCKED).non_automatable(),
                tune: TUNE.linear("Tune").with_unit(" st"),
                voices: VOICES.whole("Voices").non_automatable(),
            },
            envelope: EnvelopeParams {
                attack: ATTACK_MS.milliseconds("Attack"),
                decay: DECAY_MS.milliseconds("Decay"),
                sustain: SUSTAIN.linear("Sustain"),
                release: RELEASE_MS.milliseconds("Release"),
            },
            output: OutputParams {
                gain: VOLUME_DB
                    .linear("Volume")
                    .with_unit(" dB")
                    .with_value_to_string(formatters::v2s_f32_rounded(1)),
                width: WIDTH.linear("Width"),
                always_wait: BoolParam::new("Always wait", false).non_automatable(),
                choice: CHOICE.whole("Bundle choice").hide(),
            },
        }
    }

    /// What the parameters say now, every number inside its range. Real-time safe.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let seconds = |span: &Span<f32>, param: &FloatParam| span.clamp(param.value()) / 1000.0;
        let whole = |span: &Span<i32>, param: &IntParam| span.clamp(param.value()).unsigned_abs();
        let Self { prior, stream, notes, envelope, output, .. } = self;
        let (playing, hold) = (stream.playing(), stream.hold());
        let (trigger, voicing, keys) = (notes.trigger(), notes.voicing(), notes.keys());
        Settings {
            seed: whole(&SEED, &prior.seed).into(),
            sampling: Sampling {
                temperature: TEMPERATURE.clamp(prior.temperature.value()),
                factors: [&prior.structure, &prior.timbre, &prior.detail]
                    .map(|factor| FACTOR.clamp(factor.value())),
                top_k: whole(&TOP_K, &prior.top_k),
                top_p: TOP_P.clamp(prior.top_p.value()),
                novelty: NOVELTY.clamp(prior.novelty.value()),
                recall: RECALL.clamp(prior.recall.value()),
                controls: Controls {
                    loudness: wanted(&prior.loudness),
                    brightness: wanted(&prior.brightness),
                    density: wanted(&prior.density),
                    ..Controls::default()
                },
                // What is endless has to begin anew.
                once: !notes.anew.value() && playing == Playing::Notes,
                frozen: false,
                levels: whole(&LEVELS, &prior.levels),
            },
            gain: 10.0_f32.powf(VOLUME_DB.clamp(output.gain.value()) / 20.0),
            shape: Shape {
                attack: seconds(&ATTACK_MS, &envelope.attack),
                decay: seconds(&DECAY_MS, &envelope.decay),
                sustain: SUSTAIN.clamp(envelope.sustain.value()),
                release: seconds(&RELEASE_MS, &envelope.release),
                // A take that no key begins has no shot to be one of.
                one_shot: trigger == Trigger::OneShot
                    && matches!(playing, Playing::Notes | Playing::WithKeys),
            },
            playing,
            restart_bars: (1 << whole(&RESTART, &stream.restart)) >> 1,
            hold,
            loop_bars: 1 << whole(&LOOP, &stream.loop_bars),
            trigger,
            voicing,
            voices: whole(&VOICES, &notes.voices) as usize,
            keys,
            variations: (1 << whole(&VARIATIONS, &notes.variations)) >> 1,
            velocity: notes.velocity.value(),
            locked: notes.locked.value(),
            tune: TUNE.clamp(notes.tune.value()),
            width: WIDTH.clamp(output.width.value()),
            always_wait: output.always_wait.value(),
        }
    }
}

impl PriorParams {
    fn at_default() -> Self {
        Self {
            seed: SEED.whole("Seed").non_automatable(),
            temperature: TEMPERATURE.linear("Creativity"),
            structure: FACTOR.linear("Structure"),
            timbre: FACTOR.linear("Timbre"),
            detail: FACTOR.linear("Detail"),
            top_k: TOP_K
                .whole("Focus")
                .with_value_to_string(Arc::new(show_count))
                .with_string_to_value(Arc::new(read_count)),
            top_p: TOP_P.linear("Diversity"),
            novelty: NOVELTY.linear("Novelty"),
            recall: RECALL.linear("Recall"),
            loudness: asked("Loudness"),
            brightness: asked("Brightness"),
            density: asked("Density"),
            levels: LEVELS
                .whole("Levels")
                .non_automatable()
                .with_value_to_string(Arc::new(show_count))
                .with_string_to_value(Arc::new(read_count)),
        }
    }
}

/// A parameter that asks the prior for something, or leaves it free.
fn asked(name: &str) -> FloatParam {
    ASKED
        .linear(name)
        .with_value_to_string(Arc::new(show_asked))
        .with_string_to_value(Arc::new(read_asked))
}

/// What a parameter asks for, if anything. Real-time safe.
fn wanted(param: &FloatParam) -> Option<f32> {
    Some(ASKED.clamp(param.value())).filter(|value| *value >= FREE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_limits() {
        let params = DistillParams::new(Selection::new().0);
        let names: Vec<String> = params.param_map().into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(names, LIMITS.map(|(name, _)| name));
    }

    #[test]
    fn the_largest_number_of_voices_is_what_the_engine_has() {
        assert_eq!(usize::try_from(VOICES.high), Ok(MAX_VOICES));
    }

    #[test]
    fn what_is_endless_begins_anew_whatever_notes_do() {
        let once = |playing: i32| {
            let mut params = DistillParams::new(Selection::new().0);
            let value = Span { default: playing, ..PLAYING };
            params.stream.playing = value.whole("Play");
            params.settings().sampling.once
        };
        assert_eq!([0, 1, 2, 3].map(once), [true, false, false, false]);
    }

    #[test]
    fn a_take_that_no_key_begins_is_no_shot() {
        let one_shot = |playing: i32| {
            let mut params = DistillParams::new(Selection::new().0);
            params.stream.playing = Span { default: playing, ..PLAYING }.whole("Play");
            params.notes.trigger = Span { default: 1, ..TRIGGER }.whole("Trigger");
            let Settings { playing, trigger, shape, .. } = params.settings();
            assert_eq!(trigger, Trigger::OneShot);
            (playing, shape.one_shot)
        };
        let mut all = [0, 1, 2, 3].map(one_shot);
        all.sort_by_key(|(playing, _)| *playing as u8);
        use Playing::{Always, Notes, WithKeys, WithTransport};
        let expected = [(Notes, true), (WithTransport, false), (WithKeys, true), (Always, false)];
        assert_eq!(all, expected);
    }

    #[test]
    fn bars_are_powers_of_two() {
        let bars = |restart: i32, looped: i32| {
            let mut params = DistillParams::new(Selection::new().0);
            params.stream.restart = Span { default: restart, ..RESTART }.whole("Restart");
            params.stream.loop_bars = Span { default: looped, ..LOOP }.whole("Loop length");
            let Settings { restart_bars, loop_bars, .. } = params.settings();
            (restart_bars, loop_bars)
        };
        assert_eq!([0, 1, 2].map(|n| bars(n, n)), [(0, 1), (1, 2), (2, 4)]);
        let names = |last: i32, names: &[&str]| usize::try_from(last + 1) == Ok(names.len());
        assert!(names(RESTART.high, &texts::RESTARTS) && names(LOOP.high, &texts::LOOPS));
        assert!(names(KEYS.high, &texts::KEYS) && names(VARIATIONS.high, &texts::VARIATIONS));
        assert!(names(PLAYING.high, &texts::PLAYINGS) && names(HOLD.high, &texts::HOLDS));
        assert!(names(TRIGGER.high, &texts::TRIGGERS) && names(VOICING.high, &texts::VOICINGS));
    }

    #[test]
    fn at_the_low_end_nothing_is_asked_for() {
        let params = DistillParams::new(Selection::new().0);
        assert_eq!(params.settings().sampling.controls, Controls::default());
        let value = |normalized: f32| {
            let param = asked("Loudness");
            (
                param.normalized_value_to_string(normalized, true),
                param.string_to_normalized_value("0.5"),
            )
        };
        assert_eq!(value(0.0), ("Free".to_owned(), Some(0.5)));
        assert_eq!(value(0.25).0, "0.25");
        assert_eq!(asked("Density").string_to_normalized_value(" free "), Some(0.0));
    }

    #[test]
    fn what_is_no_number_becomes_the_default() {
        assert_eq!(TEMPERATURE.clamp(f32::NAN), 1.0);
        assert_eq!(TEMPERATURE.clamp(f32::INFINITY), 2.0);
        assert_eq!(SEED.clamp(i32::MIN), 0);
    }
}
