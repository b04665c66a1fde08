//! Whatever may come to an engine, block by block: notes, settings, songs, bundles, stalls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use distill_plugin::auditions::Audition;
use distill_plugin::engine::{Block, Engine, Playing, Trigger, Voicing};
use distill_plugin::expression::Expression;
use distill_plugin::meter::{Meter, Song};
use distill_plugin::state::BundleRef;
use distill_plugin::stream::Hold;
use distill_plugin::voice::Note;
use distill_plugin::voices::Which;
use distill_plugin::zones::Keys;
use distill_shared::player::{TakeKey, uniform};

use super::{RATE, Stage, clip, key, model, note, random_codes};

/// By how much the clock of the host is late. So whoever waits until a moment has waited already, and
/// a block that may wait does not.
const LATE: Duration = Duration::from_secs(8 * 3600);

type Act = Box<dyn FnMut(&mut Engine) + Send>;

/// One call of the audio thread, and all it needs.
pub struct Callback {
    stage: Stage,
    output: [Vec<f32>; 2],
    now: Instant,
    act: Act,
    resets: bool,
}

impl Callback {
    /// What the audio thread does.
    pub fn run(&mut self) {
        let Self { stage, output: [left, right], now, act, .. } = self;
        let Stage { settings, playing, meter, engine, .. } = stage;
        if self.resets {
            engine.reset(settings);
            return;
        }
        let (settings, playing, meter) = (*settings, *playing, *meter);
        engine.begin(&Block { settings, len: left.len(), now: *now, playing, meter });
        act(engine);
        engine.render(left, right);
        engine.finish();
    }
}

/// Numbers that are thrown.
struct Dice(u32);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0 += 1;
        let share = uniform(TakeKey { seed: 9, take: 0 }, self.0, 0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let index = (share * n as f32) as u32;
        index.min(n - 1)
    }

    fn one_of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[self.below(u32::try_from(N).unwrap()) as usize]
    }
}

/// Makes `callbacks` calls as the dice fall, each of which `call` has to run. The host plays in real
/// time, and the worker stalls now and then.
pub fn endure(callbacks: u32, mut call: impl FnMut(Callback) -> Callback) {
    let mut dice = Dice(0);
    let models = [7, 8, 9].map(model);
    let mut now = Instant::now().checked_sub(LATE).unwrap();
    let (mut peak, mut samples) = (0.0_f32, 0_usize);
    let output = [vec![0.0; 64], vec![0.0; 64]];
    let mut callback =
        Callback { stage: Stage::new(7), output, now, act: Box::new(|_| {}), resets: false };
    for _ in 0..callbacks {
        let len = 1 + dice.below(64) as usize;
        callback.output.iter_mut().for_each(|side| side.resize(len, 0.0));
        callback.act = act(&mut dice);
        callback.now = now;
        callback = call(callback);
        (now, samples) =
            (now + Duration::from_secs_f64(len as f64 / f64::from(RATE)), samples + len);
        let stage = &mut callback.stage;
        callback.resets = false;
        match dice.below(3000) {
            7 => callback.resets = true,
            8 => {
                stage.instance.choose(BundleRef::default());
                stage.deliver(&models[dice.below(3) as usize]);
            }
            30..230 => stage.work(),
            other => turn(other, &mut dice, stage),
        }
        let heard = callback.output.iter().flatten();
        peak = heard.fold(peak, |peak, sample| peak.max(sample.abs()));
    }
    let missed = callback.stage.instance.missed();
    assert!(missed > 0 && peak > 1e-3 && peak <= 1.0, "{missed} of {samples}, {peak}");
}

/// What happens to notes.
fn act(dice: &mut Dice) -> Act {
    let pressed = u8::try_from(dice.below(128)).unwrap();
    let velocity = dice.below(128) as f32 / 127.0;
    let value = dice.one_of([0.0, 0.5, 1.0, 2.0, f32::NAN, -1e30]);
    let what = dice.below(40);
    Box::new(move |engine| match what {
        0..6 => engine.note_on(Note { velocity, ..note(pressed) }),
        6..10 => engine.note_off(&key(pressed)),
        10 => engine.choke(&Which { id: None, channel: None, key: None }),
        11 => engine.express(&key(pressed), Expression::Tuning(value)),
        12 => engine.express(&key(pressed), Expression::Volume(value)),
        13 => engine.express(&key(pressed), Expression::Pan(value)),
        14 => engine.bend(pressed % 20, value),
        15 => engine.pedal(pressed % 20, velocity > 0.3),
        _ => {}
    })
}

/// Turns one knob, or moves in the song.
fn turn(which: u32, dice: &mut Dice, stage: &mut Stage) {
    let settings = &mut stage.settings;
    match which {
        0 => settings.sampling.temperature = dice.below(20) as f32 / 10.0,
        1 => settings.keys = dice.one_of([Keys::Ignored, Keys::Pitches, Keys::Pads]),
        2 => settings.locked = !settings.locked,
        3 => settings.voices = 1 + dice.below(8) as usize,
        4 => settings.trigger = dice.one_of([Trigger::Gate, Trigger::OneShot, Trigger::Latch]),
        5 => settings.tune = dice.below(25) as f32 - 12.0,
        6 => stage.playing = !stage.playing,
        9..20 => {
            let beat = f64::from(dice.below(4000)) / 10.0;
            let song = Song { beat, tempo: 120.0, bar_beats: 4.0, bar: None, loop_beat: None };
            stage.meter = Meter::new(&song, 48_000.0);
        }
        20 => {
            let all = [Playing::Notes, Playing::WithTransport, Playing::WithKeys, Playing::Always];
            settings.playing = dice.one_of(all);
        }
        21 => settings.voicing = dice.one_of([Voicing::Poly, Voicing::Mono, Voicing::Legato]),
        22 => settings.hold = dice.one_of([Hold::Off, Hold::Freeze, Hold::Loop]),
        23 => (settings.restart_bars, settings.loop_bars) = (dice.below(3), 1 + dice.below(8)),
        24 => settings.variations = dice.below(3),
        25 => settings.width = dice.below(3) as f32,
        26 => settings.gain = dice.below(3) as f32,
        27 => settings.shape.attack = dice.below(3) as f32,
        28 => settings.velocity = !settings.velocity,
        29 => settings.sampling.once = !settings.sampling.once,
        230..233 => {
            let clip = Some(clip(&random_codes(1 + dice.below(20), dice.below(99))));
            stage.instance.pads().set(dice.below(24) as usize, clip);
        }
        233..236 => stage.instance.pads().set(dice.below(24) as usize, None),
        236..242 => {
            let codes = Arc::new(random_codes(1 + dice.below(20), dice.below(99)));
            let (frames, looped) = (0..1 + dice.below(20) as usize, dice.below(2) == 0);
            let other = (dice.below(2) == 0)
                .then(|| Arc::new(random_codes(1 + dice.below(20), dice.below(99))));
            stage.instance.auditions().begin(Audition { codes, other, frames, looped });
        }
        242 => stage.instance.auditions().end(),
        243..247 => stage.instance.auditions().turn_to(dice.below(2) as usize),
        _ => {}
    }
}
