//! Which recordings training leaves out, to measure with.

use sha2::{Digest, Sha256};

use super::alike::holds;
use super::{Recording, Sound};

/// Share of the files that is held out.
const FILES: f64 = 0.1;
/// Share of the sound that is held out, at least.
const LEAST_SOUND: f64 = 0.05;
/// Share of the sound that is held out, at most.
const MOST_SOUND: f64 = 0.2;

/// How loud what sounds is at least, as a share of what is loud: 60 dB less.
const SILENT: f32 = 1e-3;
/// Samples that are read together.
const BLOCK: usize = 1 << 20;
/// Samples whose peak is looked at, a part of [`BLOCK`]: a tenth of a second.
const STEP: usize = 1 << 12;

/// What is put after the name of a recording for that of its end.
const TAIL: &str = " (last tenth)";

/// What is known of recordings by their names, from a training before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// Those that were trained on: a measurement on them says nothing.
    pub heard: Vec<String>,
    /// Those that were held out by a run that goes on.
    pub held_out: Vec<String>,
}

/// Marks recordings as held out, by file: those that were before, as far as they are still there.
///
/// Where none is, files are taken in an order that only `seed` and their names decide, passing over those
/// that would hold out more than a fifth of the sound, until a tenth of the files and a twentieth of the
/// sound are held out. Those that were heard before are passed over. Of those that are `alike`, given as
/// the index of the first one that each is like, all are held out, or none. If no file fits (one file, or
/// a few of the same length), the last tenth of the longest one becomes a recording of its own and is held
/// out; those that are like it are then left out if they hold that, too.
pub(super) fn hold_out(
    recordings: &mut Vec<Recording>,
    seed: u64,
    Before { heard, held_out }: &Before,
    alike: &[usize],
) {
    if hold_out_again(recordings, held_out, alike) {
        return;
    }
    let all: usize = recordings.iter().map(Recording::samples).sum();
    let share = |samples: usize| samples as f64 / all as f64;
    let files = (recordings.len() as f64 * FILES).max(1.0);

    let (mut held_files, mut held_samples) = (0.0, 0);
    for index in order(recordings, seed) {
        if held_files >= files && share(held_samples) >= LEAST_SOUND {
            break;
        }
        let group: Vec<usize> =
            (0..recordings.len()).filter(|&other| alike[other] == alike[index]).collect();
        let known =
            |&one: &usize| recordings[one].held_out || heard.contains(&recordings[one].name);
        if group.iter().any(known) {
            continue;
        }
        let samples =
            held_samples + group.iter().map(|&one| recordings[one].samples()).sum::<usize>();
        if share(samples) <= MOST_SOUND {
            group.iter().for_each(|&one| recordings[one].held_out = true);
            (held_files, held_samples) = (held_files + group.len() as f64, samples);
        }
    }
    if held_samples == 0 {
        split_longest(recordings, heard, alike);
    }
}

/// Holds out what is called as one of `names`, and what is like it. Whether there is any.
fn hold_out_again(recordings: &mut Vec<Recording>, names: &[String], alike: &[usize]) -> bool {
    let is_named = |recording: &Recording| is_among(&recording.name, names);
    let named = (0..recordings.len()).filter(|&index| is_named(&recordings[index]));
    let named: Vec<usize> = named.collect();
    if let &[one] = &named[..]
        && !names.contains(&recordings[one].name)
    {
        split_off(recordings, one, alike);
    } else {
        for index in named.iter().flat_map(|&one| twins(one, alike)) {
            recordings[index].held_out = true;
        }
    }
    !named.is_empty()
}

/// Whether that is the name of the end of a recording. No file is called so: its name has an ending.
pub(super) fn is_tail(name: &str) -> bool {
    name.ends_with(TAIL)
}

/// Whether a recording of that name, or the end of it, is among `names`.
fn is_among(name: &str, names: &[String]) -> bool {
    names.iter().any(|one| one == name || one.strip_suffix(TAIL) == Some(name))
}

/// What of `recordings` is called as one of `names`: whole ones, and ends of those that were split.
pub(super) fn named(mut recordings: Vec<Recording>, names: &[String]) -> Vec<Recording> {
    recordings.retain(|recording| is_among(&recording.name, names));
    let whole = |mut recording: Recording| {
        if names.contains(&recording.name) { recording } else { split(&mut recording) }
    };
    let named = recordings.into_iter().map(whole);
    named.map(|recording| Recording { held_out: true, ..recording }).collect()
}

/// Indices of the recordings in the order that `seed` and their names decide.
pub(super) fn order(recordings: &[Recording], seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..recordings.len()).collect();
    order.sort_by_cached_key(|&index| {
        let hash = Sha256::new_with_prefix(seed.to_le_bytes());
        <[u8; 32]>::from(hash.chain_update(&recordings[index].name).finalize())
    });
    order
}

/// Cuts the last tenth off the longest recording and holds it out: of those that were not trained on
/// before, if there are any, and of those that are like no other.
fn split_longest(recordings: &mut Vec<Recording>, heard: &[String], alike: &[usize]) {
    let suits = |index: usize| {
        (!is_among(&recordings[index].name, heard), twins(index, alike).count() == 1)
    };
    let longest = (0..recordings.len())
        .rev()
        .max_by_key(|&index| (suits(index), recordings[index].samples()));
    if let Some(longest) = longest {
        split_off(recordings, longest, alike);
    }
}

/// The recording itself and all that are like it.
fn twins(index: usize, alike: &[usize]) -> impl Iterator<Item = usize> {
    (0..alike.len()).filter(move |&i| alike[i] == alike[index])
}

/// Makes the last tenth of a recording one of its own that is held out, and leaves out what holds that, too.
fn split_off(recordings: &mut Vec<Recording>, index: usize, alike: &[usize]) {
    let whole = recordings[index].sound.clone();
    let tail = split(&mut recordings[index]);
    let from = recordings[index].samples();
    let part = from..from + tail.samples();
    // What cannot be read is told as it is read later.
    let holds = |twin: &usize| holds(&recordings[*twin].sound, &whole, &part).unwrap_or(true);
    let twins = twins(index, alike).filter(|&twin| twin != index);
    let twins: Vec<usize> = twins.filter(holds).collect();
    recordings.insert(index + 1, tail);
    for twin in twins.into_iter().rev() {
        recordings.remove(if twin > index { twin + 1 } else { twin });
    }
}

/// Cuts off the last tenth of what sounds of a recording, and leaves out the silence after it, on which a
/// measurement would say nothing.
fn split(whole: &mut Recording) -> Recording {
    let sounds = sounding(&whole.sound).unwrap_or_else(|| whole.samples());
    whole.sound.truncate(sounds);
    let cut = sounds - sounds / 10;
    Recording {
        name: format!("{}{TAIL}", whole.name),
        class: whole.class.clone(),
        sound: whole.sound.split_off(cut),
        held_out: true,
    }
}

/// Samples up to the last that is within [`SILENT`] of what a tenth of the sound is louder than; none if
/// there is none, or if it cannot be read, which reading it later will tell.
fn sounding(sound: &Sound) -> Option<usize> {
    // In blocks, since a recording on disk may be longer than what fits into memory.
    let blocks = (0..sound.samples()).step_by(BLOCK);
    let of_block = |from: usize| Some(peaks(&sound.read(from..from + BLOCK).ok()?));
    let peaks: Vec<f32> = blocks.map(of_block).collect::<Option<Vec<_>>>()?.concat();
    let mut sorted = peaks.clone();
    sorted.sort_by(f32::total_cmp);
    // Not the loudest of all: a clap before an hour of wind does not make silence of that.
    let loud = sorted.get(sorted.len() * 9 / 10)?;
    let heard = SILENT * loud;
    let last = peaks.iter().rposition(|&peak| peak > heard)? * STEP;
    let audio = sound.read(last..last + STEP).ok()?;
    let end =
        audio.iter().filter_map(|channel| channel.iter().rposition(|x| x.abs() > heard)).max();
    end.map(|end| last + end + 1)
}

/// The largest sample of each [`STEP`] samples, of all channels.
fn peaks(audio: &[Vec<f32>]) -> Vec<f32> {
    let louder = |loudest: f32, sample: &f32| loudest.max(sample.abs());
    let samples = audio.first().map_or(0, Vec::len);
    let of_step = |from: usize| {
        let step = audio.iter().flat_map(|channel| &channel[from..samples.min(from + STEP)]);
        step.fold(0.0, louder)
    };
    (0..samples).step_by(STEP).map(of_step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recordings(lengths: &[usize]) -> Vec<Recording> {
        let one = |(i, &len): (usize, &usize)| Recording {
            name: format!("{i:03}.wav"),
            class: String::new(),
            sound: Sound::new(vec![vec![0.5; len]]),
            held_out: false,
        };
        lengths.iter().enumerate().map(one).collect()
    }

    /// Holds out of recordings of which none is like another.
    fn hold_out_of(recordings: &mut Vec<Recording>, seed: u64, heard: &[String]) {
        let alike: Vec<usize> = (0..recordings.len()).collect();
        let before = Before { heard: heard.to_vec(), ..Before::default() };
        hold_out(recordings, seed, &before, &alike);
    }

    fn held_out(recordings: &[Recording]) -> Vec<&str> {
        recordings.iter().filter(|r| r.held_out).map(|r| r.name.as_str()).collect()
    }

    #[test]
    fn a_tenth_of_the_files_is_held_out_as_the_seed_decides() {
        let chosen = |seed| {
            let mut recordings = recordings(&[1000; 40]);
            hold_out_of(&mut recordings, seed, &[]);
            assert_eq!(held_out(&recordings).len(), 4);
            held_out(&recordings).join(" ")
        };
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
    }

    #[test]
    fn what_was_trained_on_before_is_not_held_out() {
        let mut before = recordings(&[1000; 30]);
        hold_out_of(&mut before, 5, &[]);
        let was_held: Vec<String> = held_out(&before).iter().map(|&name| name.to_owned()).collect();
        let heard: Vec<String> =
            before.into_iter().filter(|one| !one.held_out).map(|one| one.name).collect();
        let mut more = recordings(&[1000; 60]);
        hold_out_of(&mut more, 5, &heard);
        let held = held_out(&more);
        assert!(!held.iter().any(|name| heard.contains(&(*name).to_owned())), "{held:?}");
        assert_eq!((was_held.len(), held.len()), (3, 6));
    }

    #[test]
    fn what_is_alike_is_held_out_together_or_not_at_all() {
        // Each three in a row are alike.
        let alike: Vec<usize> = (0..60).map(|i| i / 3 * 3).collect();
        for seed in 0..10 {
            let mut recordings = recordings(&[1000; 60]);
            hold_out(&mut recordings, seed, &Before::default(), &alike);
            let of_three = recordings.chunks(3).map(|c| c.iter().filter(|r| r.held_out).count());
            let of_three: Vec<usize> = of_three.collect();
            assert!(of_three.iter().all(|held| [0, 3].contains(held)), "{of_three:?}");
            assert_eq!(of_three.iter().sum::<usize>(), 6);
        }
    }

    #[test]
    fn where_all_is_alike_or_heard_the_end_of_what_suits_best_is_held_out() {
        // Two sounds, each twice: no pair fits, and a tail whose twin is trained on says nothing.
        let mut pairs = recordings(&[1000, 1000, 900, 900]);
        hold_out(&mut pairs, 0, &Before::default(), &[0, 0, 2, 2]);
        assert_eq!(held_out(&pairs), ["000.wav (last tenth)"]);
        assert!(!pairs.iter().any(|recording| recording.name == "001.wav"));
        // The longest has a twin, the next was heard before.
        let mut some = recordings(&[1000, 1000, 900, 800]);
        let before = Before { heard: vec!["002.wav".to_owned()], ..Before::default() };
        hold_out(&mut some, 0, &before, &[0, 0, 2, 3]);
        assert_eq!(held_out(&some), ["003.wav (last tenth)"]);
    }

    #[test]
    fn what_only_begins_alike_is_trained_on() {
        let noise = |seed: u32| {
            let value = move |t: u32| {
                let hash = (t ^ (seed << 20)).wrapping_mul(2_654_435_761);
                (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D) as f32 / u32::MAX as f32 - 0.5
            };
            (0..40_000 / 8).flat_map(move |t| [value(t); 8])
        };
        let begin: Vec<f32> = (0..4).flat_map(|_| noise(0)).collect();
        let one = |seed| [begin.clone(), noise(seed).collect()].concat();
        let mut some = recordings(&[1; 5]);
        for (recording, seed) in some.iter_mut().zip([1, 2, 3, 4, 4]) {
            recording.sound = Sound::new(vec![one(seed)]);
        }
        let mut copies = vec![some[3].clone(), some[4].clone()];
        hold_out(&mut some, 0, &Before::default(), &[0; 5]);
        let held = held_out(&some).join(" ");
        assert!(held.ends_with(TAIL), "{held}");
        let left = if held.starts_with("003") || held.starts_with("004") { 5 } else { 6 };
        assert_eq!(some.len(), left, "a copy of what is held out is left out");
        hold_out(&mut copies, 0, &Before::default(), &[0; 2]);
        assert_eq!(copies.len(), 2, "what is left of one, and its end");
    }

    #[test]
    fn what_was_held_out_is_found_by_its_name() {
        let names = ["001.wav", "000.wav (last tenth)"].map(str::to_owned);
        let found = named(recordings(&[1000, 900, 800]), &names);
        let found: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.samples())).collect();
        assert_eq!(found, [("000.wav (last tenth)", 100), ("001.wav", 900)]);
    }

    #[test]
    fn other_files_do_not_change_whether_a_file_comes_before_another() {
        let all = recordings(&[1000; 40]);
        let some: Vec<Recording> = all.iter().step_by(2).cloned().collect();
        let order_of_all = order(&all, 7).into_iter().filter(|i| i % 2 == 0).map(|i| i / 2);
        assert!(order_of_all.eq(order(&some, 7)));
    }

    #[test]
    fn a_file_that_holds_most_of_the_sound_is_trained_on() {
        for seed in 0..20 {
            let mut recordings = recordings(&[90_000, 4000, 4000, 4000]);
            hold_out_of(&mut recordings, seed, &[]);
            assert!(!held_out(&recordings).contains(&"000.wav"), "seed {seed}");
            assert!(!held_out(&recordings).is_empty(), "seed {seed}");
        }
    }

    #[test]
    fn of_too_few_files_the_end_of_the_longest_is_held_out() {
        for lengths in [&[1000][..], &[900, 1000, 900]] {
            let mut recordings = recordings(lengths);
            hold_out_of(&mut recordings, 0, &[]);
            let longest = if lengths.len() == 1 { "000.wav" } else { "001.wav" };
            assert_eq!(held_out(&recordings), [format!("{longest} (last tenth)")]);
            let length = |name| recordings.iter().find(|r| r.name == name).unwrap().samples();
            assert_eq!(length(longest), 900);
            assert_eq!(length(&format!("{longest} (last tenth)")), 100);
        }
    }

    #[test]
    fn the_last_tenth_is_of_what_sounds() {
        let sound = |sounds: usize, silent: usize| {
            let faint = std::iter::repeat_n(1e-4, silent);
            Sound::new(vec![std::iter::repeat_n(0.5, sounds).chain(faint).collect()])
        };
        for (sounds, silent) in [(1000, 0), (1000, 3000), (0, 1000)] {
            let mut whole = recordings(&[1]).remove(0);
            whole.sound = sound(sounds, silent);
            let tail = split(&mut whole);
            assert_eq!((whole.samples(), tail.samples()), (900, 100));
            assert!(tail.is_tail() && !whole.is_tail());
        }
        // Louder at first than ever after.
        let clap = std::iter::repeat_n(1.0, 2000).chain(std::iter::repeat_n(5e-4, 98_000));
        let mut whole = recordings(&[1]).remove(0);
        whole.sound = Sound::new(vec![clap.collect()]);
        let tail = split(&mut whole);
        assert_eq!((whole.samples(), tail.samples()), (90_000, 10_000));
        // Longer than what is read at a time, of which nothing sounds.
        let long = sound(BLOCK + 5, BLOCK);
        assert_eq!(sounding(&long), Some(BLOCK + 5));
    }
}
