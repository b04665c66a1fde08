//! AUDIO THREAD: where in the song a block is.

/// Beats before a bar at which it has begun: hosts round, and a note on the beat is on the beat.
const EARLY_BEATS: f64 = 1e-3;
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

/// Where in the song a block is. A beat is a quarter note.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meter {
    /// Position of the first sample in beats.
    beat: f64,
    beats_per_sample: f64,
    /// Where the bar of the first sample begins, in beats, and its number.
    bar: (f64, f64),
    bar_beats: f64,
    /// Where the host will go back to: the beginning of its loop, in beats.
    loop_beat: Option<f64>,
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
    /// Where the bar begins, in beats, and its number, if the host counts bars.
    pub bar: Option<(f64, i32)>,
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
        let bar = bar.map(|(start, number)| (start, f64::from(number)));
        let bar = bar.filter(|(start, _)| start.is_finite()).unwrap_or((0.0, 0.0));
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
        self.bar_of(self.beat + sample as f64 * self.beats_per_sample)
    }

    /// The bar to which the loop of the host leads back, if it has one.
    #[must_use]
    pub fn loop_bar(&self) -> Option<u32> {
        self.loop_beat.map(|beat| self.bar_of(beat))
    }

    /// Whether the song goes on here, after a block at `before`, and not somewhere earlier.
    #[must_use]
    pub fn goes_on_from(&self, before: &Self) -> bool {
        self.beat >= before.beat
    }

    fn bar_of(&self, beat: f64) -> u32 {
        let (start, number) = self.bar;
        let bar = number + ((beat - start + EARLY_BEATS) / self.bar_beats).floor();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let bar = (bar + BEFORE).clamp(0.0, MAX_BARS - 1.0) as u32;
        bar
    }
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
        let bar = self.here();
        let looped = self.meter.and_then(|meter| meter.loop_bar()).filter(|_| self.playing);
        let back = looped.unwrap_or(self.began);
        let first = |bar: u32| u64::from(bar) * TAKES_OF_BAR;
        (first(bar), [Some(first(bar + 1)), Some(first(back)).filter(|_| back != bar + 1)])
    }

    fn here(&self) -> u32 {
        let moved = if self.playing { self.offset } else { 0 };
        self.meter.map_or(self.bar, |meter| meter.bar_at(moved))
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
    fn the_bars_of_the_host_are_counted_if_it_counts() {
        let counted = Song { bar: Some((9.0, 3)), bar_beats: 3.0, ..song(10.0) };
        let meter = Meter::new(&counted, 48_000.0).unwrap();
        assert_eq!([0, 48_000, 50_000].map(|sample| meter.bar_at(sample)), [3, 4, 4].map(bar));
        let looped = Song { loop_beat: Some(3.0), ..counted };
        assert_eq!(Meter::new(&looped, 48_000.0).unwrap().loop_bar(), Some(bar(1)));
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
        let lost = Song { bar: Some((f64::NAN, 7)), loop_beat: Some(f64::NAN), ..song(4.0) };
        let meter = Meter::new(&lost, 48_000.0).unwrap();
        assert_eq!((meter.bar_at(0), meter.loop_bar()), (bar(1), Some(0)));
    }

    #[test]
    fn a_song_that_goes_back_does_not_go_on() {
        let [one, two] = [1.0, 2.0].map(|beat| Meter::new(&song(beat), 48_000.0).unwrap());
        assert!(two.goes_on_from(&one) && one.goes_on_from(&one) && !one.goes_on_from(&two));
    }
}
