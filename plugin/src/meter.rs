//! AUDIO THREAD: where in the song a block is.

/// Beats before a bar at which it has begun: hosts round, and a note on the beat is on the beat.
const EARLY_BEATS: f64 = 1e-3;
/// Samples by which a host that counts beats may be off.
const ROUNDING: f64 = 0.01;
/// Beats by which a block may begin elsewhere than where the one before has ended, and go on all the same:
/// tempos change within blocks.
const SEAM_BEATS: f64 = 0.05;
/// Beats in a bar, at least and at most.
const BAR_BEATS: (f64, f64) = (0.0625, 256.0);
/// The fastest tempo in beats per minute.
const MAX_TEMPO: f64 = 10_000.0;
/// Bars are counted from this far before the song, so that a count-in has its own.
const BEFORE: f64 = 1024.0;
/// Takes of a bar: more notes than any has.
const TAKES_OF_BAR: u64 = 4096;
/// Bars that are told apart.
const MAX_BARS: f64 = 1_048_576.0;
/// Where bars are not counted, the takes of one follow from the beat at which it begins: of every fourth
/// beat from the song's beginning on, as if all bars had four;
const BEATS_OF_FOUR: f64 = 4.0;
/// of all others from here on,
const OTHERS: f64 = MAX_BARS / 2.0;
/// one for each sixteenth of a beat.
const STEPS_OF_BEAT: f64 = 16.0;

/// Where in the song a block is. A beat is a quarter note.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meter {
    /// Position of the first sample in beats.
    beat: f64,
    beats_per_sample: f64,
    /// The bar of the first sample.
    bar: Bar,
    bar_beats: f64,
    /// Where the host will go back to: the beginning of its loop, in beats.
    loop_beat: Option<f64>,
}

/// A bar of a song.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Bar {
    /// Where it begins, in beats.
    start: f64,
    /// Its number: where the host does not count, as if all bars before it had been as long.
    number: f64,
    /// Whether only the beat at which it begins is known of it, so that bars of other songs or lengths may
    /// have its number.
    is_guessed: bool,
}

/// What a host says about its song.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Song {
    /// Position in beats.
    pub beat: f64,
    /// Beats per minute.
    pub tempo: f64,
    /// Beats in a bar.
    pub bar_beats: f64,
    /// Where the bar begins, in beats, if the host tells, and its number, if it counts bars.
    pub bar: Option<(f64, Option<i32>)>,
    /// Where its loop begins, in beats, if there is one.
    pub loop_beat: Option<f64>,
}

impl Meter {
    /// The meter of a block that begins where `song` is, at `rate` samples per second; none if the
    /// host talks nonsense. Real-time safe.
    #[must_use]
    pub fn new(song: &Song, rate: f32) -> Option<Self> {
        let Song { beat, tempo, bar_beats, bar, loop_beat } = *song;
        let (least, most) = BAR_BEATS;
        let sound = beat.is_finite()
            && (0.0..=MAX_TEMPO).contains(&tempo)
            && (least..=most).contains(&bar_beats);
        let bar = bar.map(|(start, number)| Bar {
            start,
            number: number.map_or_else(|| (start / bar_beats).round(), f64::from),
            is_guessed: number.is_none(),
        });
        let bar = bar.filter(|bar| bar.start.is_finite() && bar.number.is_finite());
        let bar = bar.unwrap_or_default();
        sound.then_some(Self {
            beat,
            beats_per_sample: tempo / 60.0 / f64::from(rate),
            bar,
            bar_beats,
            loop_beat,
        })
    }

    /// The bar of the nth `sample` of the block. Real-time safe.
    #[must_use]
    pub fn bar_at(&self, sample: usize) -> u32 {
        self.bar_of(self.beat_at(sample), 0.0)
    }

    /// The bar after that. Real-time safe.
    #[must_use]
    pub fn bar_after(&self, sample: usize) -> u32 {
        self.bar_of(self.beat_at(sample), 1.0)
    }

    fn beat_at(&self, sample: usize) -> f64 {
        self.beat + sample as f64 * self.beats_per_sample
    }

    /// The bar to which the loop of the host leads back, if it has one.
    #[must_use]
    pub fn loop_bar(&self) -> Option<u32> {
        self.loop_beat.map(|beat| self.bar_of(beat, 0.0))
    }

    /// Whether the song goes on here, after a block at `before`, and not somewhere earlier.
    #[must_use]
    pub fn goes_on_from(&self, before: &Self) -> bool {
        self.beat >= before.beat - SEAM_BEATS
    }

    /// The same, in bars that are counted as those of `before` if the song goes on from there, so many
    /// `samples` later, and bars are as long. Within a block the framework knows where bars begin only of
    /// songs whose bars are all of one length.
    fn counted_as(self, before: &Self, samples: usize) -> Self {
        let expected = before.beat + samples as f64 * before.beats_per_sample;
        let goes_on = (self.beat - expected).abs() < SEAM_BEATS;
        let bar = if goes_on && self.bar_beats == before.bar_beats { before.bar } else { self.bar };
        Self { bar, ..self }
    }

    /// How long a bar lasts, in seconds, at `rate` samples per second; for ever if time stands still.
    /// Real-time safe.
    #[must_use]
    pub fn bar_s(&self, rate: f32) -> f64 {
        self.bar_beats / (self.beats_per_sample * f64::from(rate))
    }

    /// Samples from the nth `sample` of the block to the next line at which a bar begins whose number
    /// is a multiple of `bars`: 0 if that is there. None if time stands still. Real-time safe.
    #[must_use]
    pub fn until_line(&self, sample: usize, bars: u32) -> Option<usize> {
        let bars_per_sample = self.beats_per_sample / self.bar_beats;
        let Bar { start, number, .. } = self.bar;
        let here = number + (self.beat - start) / self.bar_beats + sample as f64 * bars_per_sample;
        let every = f64::from(bars.max(1));
        // The sample after a line is the first of its bar.
        let after = (1.0 - ROUNDING) * bars_per_sample;
        let line = ((here - after) / every).ceil() * every;
        let samples = ((line - here) / bars_per_sample - ROUNDING).ceil().max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let samples = samples as usize;
        (bars_per_sample > 0.0).then_some(samples)
    }

    /// What the takes of the bar of `beat`, or of one `later`, are counted by.
    fn bar_of(&self, beat: f64, later: f64) -> u32 {
        let Bar { start, number, is_guessed } = self.bar;
        let bars = ((beat - start + EARLY_BEATS) / self.bar_beats).floor() + later;
        let bar = if is_guessed { number_at(start + bars * self.bar_beats) } else { number + bars };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let bar = (bar + BEFORE).clamp(0.0, MAX_BARS - 1.0) as u32;
        bar
    }
}

/// The number of a bar that begins at `beat`, which no bar that begins elsewhere has.
fn number_at(beat: f64) -> f64 {
    let steps = (beat * STEPS_OF_BEAT).round();
    let fours = steps / (STEPS_OF_BEAT * BEATS_OF_FOUR);
    if fours.fract() == 0.0 { fours } else { OTHERS + steps }
}

/// Where in the song the engine is, and which takes belong there.
///
/// Takes that are locked to bars are counted from the beginning of each bar: take n of a bar is the
/// same whatever was played before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    meter: Option<Meter>,
    /// Samples of the block that have been rendered.
    pub offset: usize,
    /// The last bar that is known.
    bar: u32,
    /// The bar in which playback began, or is about to.
    began: u32,
    playing: bool,
}

impl Place {
    /// Goes to a block at `meter`, if the host says where that is. Returns whether the song, which is
    /// `playing` or not, went back while it played.
    pub fn enter(&mut self, meter: Option<Meter>, playing: bool) -> bool {
        self.bar = self.here();
        let goes_on = self.playing && playing;
        let before = self.meter.filter(|_| goes_on);
        let goes_back = meter.zip(before).is_some_and(|(now, before)| !now.goes_on_from(&before));
        let meter = meter.map(|now| before.map_or(now, |it| now.counted_as(&it, self.offset)));
        (self.meter, self.offset, self.playing) = (meter, 0, playing);
        if !goes_on {
            self.began = self.here();
        }
        goes_back
    }

    /// The first take of this bar, and those of the bars that may come next: the one after it, and
    /// the one that the song comes back to.
    #[must_use]
    pub fn takes(&self) -> (u64, [Option<u64>; 2]) {
        let (bar, next) = (self.here(), self.next());
        let looped = self.meter.and_then(|meter| meter.loop_bar()).filter(|_| self.playing);
        let back = looped.unwrap_or(self.began);
        let first = |bar: u32| u64::from(bar) * TAKES_OF_BAR;
        (first(bar), [Some(first(next)), Some(first(back)).filter(|_| back != next)])
    }

    /// Samples to the next line at which a bar begins whose number is a multiple of `bars`, `ahead`
    /// samples from here or later, while the song plays and it is known where: 0 if that is here.
    #[must_use]
    pub fn until_line(&self, bars: u32, ahead: usize) -> Option<usize> {
        let meter = self.meter.filter(|_| self.playing && bars > 0)?;
        Some(ahead + meter.until_line(self.offset + ahead, bars)?)
    }

    /// How long a bar lasts, in seconds, at `rate` samples per second, as far as that is known.
    #[must_use]
    pub fn bar_s(&self, rate: f32) -> Option<f64> {
        self.meter.map(|meter| meter.bar_s(rate)).filter(|seconds| seconds.is_finite())
    }

    fn here(&self) -> u32 {
        self.meter.map_or(self.bar, |meter| meter.bar_at(self.moved()))
    }

    /// The bar after this.
    fn next(&self) -> u32 {
        self.meter.map_or(self.bar + 1, |meter| meter.bar_after(self.moved()))
    }

    /// Samples of the block by which the song has moved.
    fn moved(&self) -> usize {
        if self.playing { self.offset } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn song(beat: f64) -> Song {
        Song { beat, tempo: 120.0, bar_beats: 4.0, bar: None, loop_beat: None }
    }

    fn bar(number: u32) -> u32 {
        1024 + number
    }

    #[test]
    fn a_bar_begins_at_its_sample_however_the_host_rounds() {
        // Two beats a second: a bar is 96 000 samples.
        let meter = Meter::new(&song(2.0), 48_000.0).unwrap();
        assert_eq!(meter.bar_at(0), bar(0));
        assert_eq!(meter.bar_at(47_900), bar(0));
        assert_eq!(meter.bar_at(47_999), bar(1), "a sample early is on the beat");
        assert_eq!(meter.bar_at(48_000), bar(1));
        assert_eq!(meter.bar_at(48_000 + 96_000), bar(2));
        for beat in [3.999_999_9, 4.0, 4.000_000_1] {
            assert_eq!(Meter::new(&song(beat), 48_000.0).unwrap().bar_at(0), bar(1), "{beat}");
        }
    }

    #[test]
    fn a_tempo_that_falls_within_a_block_is_no_way_back() {
        let meter = |beat| Meter::new(&song(beat), 48_000.0).unwrap();
        assert!([4.0, 4.1, 3.99].iter().all(|beat| meter(*beat).goes_on_from(&meter(4.0))));
        assert!([3.9, 0.0].iter().all(|beat| !meter(*beat).goes_on_from(&meter(4.0))));
    }

    #[test]
    fn the_bars_of_the_host_are_counted_if_it_counts() {
        let counted = Song { bar: Some((9.0, Some(3))), bar_beats: 3.0, ..song(10.0) };
        let meter = Meter::new(&counted, 48_000.0).unwrap();
        assert_eq!([0, 48_000, 50_000].map(|sample| meter.bar_at(sample)), [3, 4, 4].map(bar));
        let looped = Song { loop_beat: Some(3.0), ..counted };
        assert_eq!(Meter::new(&looped, 48_000.0).unwrap().loop_bar(), Some(bar(1)));
    }

    #[test]
    fn a_line_is_met_at_one_sample_however_the_host_rounds() {
        // A bar of 28 800 samples; the block begins a quarter of one before bar 3, or where it does.
        let song = |beat| Song { tempo: 400.0, bar: Some((9.0, Some(3))), ..song(beat) };
        let until = |beat, sample, bars| {
            Meter::new(&song(beat), 48_000.0).unwrap().until_line(sample, bars).unwrap()
        };
        assert_eq!([0, 7199, 7200, 7201].map(|sample| until(8.0, sample, 1)), [7200, 1, 0, 28_799]);
        for beat in [9.0 - 1e-7, 9.0, 9.0 + 1e-7] {
            assert_eq!([0, 1].map(|sample| until(beat, sample, 1)), [0, 28_799], "{beat}");
        }
        assert_eq!([1, 2, 4].map(|bars| until(10.0, 0, bars)), [21_600, 21_600, 21_600]);
        assert_eq!([1, 2, 4].map(|bars| until(14.0, 0, bars)), [21_600, 50_400, 108_000]);
        // Where bars are no whole number of samples, a bar begins at the first of its own.
        let odd = Meter::new(&Song { tempo: 123.4, ..song(9.5) }, 44_100.0).unwrap();
        let lines = (0..400_000).filter(|sample| odd.until_line(*sample, 1) == Some(0));
        let lines: Vec<_> = lines.map(|sample| sample as f64).collect();
        assert_eq!(lines.len(), 4);
        for (n, line) in lines.into_iter().enumerate() {
            let exact = (n as f64 + 0.875) * 4.0 * 60.0 / 123.4 * 44_100.0;
            assert_eq!(line, exact.ceil(), "{n}");
        }
        let still = Meter::new(&Song { tempo: 0.0, ..song(9.5) }, 44_100.0).unwrap();
        assert_eq!((still.until_line(0, 1), still.bar_s(44_100.0)), (None, f64::INFINITY));
        assert_eq!(Meter::new(&song(0.0), 48_000.0).unwrap().bar_s(48_000.0), 0.6);
    }

    #[test]
    fn lines_are_met_only_while_the_song_plays() {
        let mut place = Place::default();
        let meter = Meter::new(&song(0.0), 48_000.0);
        place.enter(meter, false);
        assert_eq!(place.until_line(1, 0), None);
        place.enter(meter, true);
        assert_eq!([place.until_line(0, 0), place.until_line(1, 0)], [None, Some(0)]);
        assert_eq!(place.until_line(1, 1), Some(96_000));
        place.offset = 95_990;
        assert_eq!(place.until_line(1, 1), Some(10));
    }

    #[test]
    fn nonsense_has_no_meter_and_bars_end_somewhere() {
        let wrong = [
            Song { beat: f64::NAN, ..song(0.0) },
            Song { tempo: -1.0, ..song(0.0) },
            Song { tempo: f64::INFINITY, ..song(0.0) },
            Song { bar_beats: 0.0, ..song(0.0) },
        ];
        assert!(wrong.iter().all(|song| Meter::new(song, 48_000.0).is_none()));
        assert_eq!(Meter::new(&song(-1e300), 48_000.0).unwrap().bar_at(0), 0);
        assert_eq!(Meter::new(&song(1e300), 48_000.0).unwrap().bar_at(0), 1_048_575);
        let lost = Song { bar: Some((f64::NAN, Some(7))), loop_beat: Some(f64::NAN), ..song(4.0) };
        let meter = Meter::new(&lost, 48_000.0).unwrap();
        assert_eq!((meter.bar_at(0), meter.loop_bar()), (bar(1), Some(0)));
    }

    #[test]
    fn bars_of_a_song_that_changes_its_meter_are_where_the_host_has_them() {
        // Four bars of four beats, then bars of three; bars are not counted, as in VST3.
        let at = |beat: f64, start: f64| {
            let song = Song { bar_beats: 3.0, bar: Some((start, None)), ..song(beat) };
            Meter::new(&song, 48_000.0).unwrap()
        };
        assert_eq!(at(16.0, 16.0).until_line(0, 1), Some(0));
        assert_eq!(at(18.0, 16.0).until_line(0, 1), Some(24_000));
        let bars = [(16.0, 16.0), (18.9, 16.0), (19.0, 19.0), (22.0, 22.0)];
        let [four, others] = [bar(4), bar(1 << 19)];
        let numbers = [four, four, others + 19 * 16, others + 22 * 16];
        assert_eq!(bars.map(|(beat, start)| at(beat, start).bar_at(0)), numbers);
        // The rest of a block is told of as if all bars had three beats.
        let mut place = Place::default();
        place.enter(Some(at(16.5, 16.0)), true);
        place.offset = 12_000;
        place.enter(Some(at(17.0, 15.0)), true);
        assert_eq!(
            (place.takes().0, place.until_line(1, 1)),
            (u64::from(four) * TAKES_OF_BAR, Some(48_000))
        );
        // Where the song jumps, it is told anew.
        place.offset = 12_000;
        place.enter(Some(at(22.0, 22.0)), true);
        assert_eq!(place.takes().0, u64::from(others + 22 * 16) * TAKES_OF_BAR);
    }

    #[test]
    fn bars_that_are_not_counted_have_takes_of_their_own_whatever_their_meter() {
        let at = |start: f64, bar_beats: f64| {
            let song = Song { bar_beats, bar: Some((start, None)), ..song(start) };
            Meter::new(&song, 48_000.0).unwrap()
        };
        // Four bars of three beats, then two of four and one of seven eighths.
        let bars =
            [(0.0, 3.0), (3.0, 3.0), (6.0, 3.0), (9.0, 3.0), (12.0, 4.0), (16.0, 4.0), (20.0, 3.5)];
        let numbers = bars.map(|(start, beats)| at(start, beats).bar_at(0));
        for (n, number) in numbers.iter().enumerate() {
            assert!(!numbers[..n].contains(number), "bar {n}");
        }
        // Heads of the next bar are made before its meter is known.
        let next = bars.map(|(start, beats)| at(start, beats).bar_after(0));
        assert_eq!(next[..6], numbers[1..]);
        // Songs of four beats play what they played.
        assert_eq!(
            [-4.0, 0.0, 4.0, 400.0].map(|start| at(start, 4.0).bar_at(0)),
            [1023, 1024, 1025, 1124]
        );
        assert_eq!(at(8.0 - 1e-7, 4.0).bar_at(0), bar(2));
    }

    #[test]
    fn a_song_that_goes_back_does_not_go_on() {
        let [one, two] = [1.0, 2.0].map(|beat| Meter::new(&song(beat), 48_000.0).unwrap());
        assert!(two.goes_on_from(&one) && one.goes_on_from(&one) && !one.goes_on_from(&two));
    }
}
