//! Instances that play at the same time, and what is done with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use distill_shared::bundle::Bundle;
use distill_shared::player::{TakeKey, uniform};
use distill_tests::host::{Host, Performance, Playback, state};
use distill_tests::phrase::Note;
use distill_tests::screen::Screen;
use distill_tests::sound::Sound;
use distill_tests::{Endured, memory};
use tempfile::TempDir;

use super::built::{enter, host};

/// Samples a second, and in a block.
const RATES: [u32; 4] = [44_100, 48_000, 88_200, 96_000];
const BLOCKS: [u32; 4] = [64, 256, 441, 1024];
/// The note that is compared with how it sounds in a bounce.
const NOTE: Note = Note { start: 0.0, end: 4.0, key: 60, velocity: 0.8 };
/// Samples of it that have to be there, each in its place. On a machine that is too slow others are
/// missing, or were made of fewer levels.
const IN_PLACE: usize = 2000;
/// How often it is tried, since a busy machine may come to nothing at all in time.
const TRIES: usize = 10;
/// So many variations that none comes again.
const ENDLESS: &str = "Endless";
/// How often everything happens at the same time.
const TUTTI: usize = 12;
/// Where the pages are chosen in the window.
const PAGES: [(i16, i16); 4] = [(78, 22), (145, 22), (212, 22), (279, 22)];

/// What the process keeps while all instances do the same.
pub(crate) struct Kept {
    pub(crate) hours: f64,
    /// Memory in MiB: what is resident, what of it is needed, and what is allocated.
    pub(crate) resident: f64,
    pub(crate) needed: f64,
    pub(crate) allocated: f64,
    pub(crate) threads: usize,
    pub(crate) files: usize,
    /// Samples of the compared notes that were in their place, and of all of them.
    in_place: [usize; 2],
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hours, resident, needed, allocated, threads, files, .. } = self;
        let [there, all] = self.in_place;
        write!(f, "{hours:.3} hours: {resident:.1} MiB, {needed:.1} of them needed, ")?;
        write!(f, "{allocated:.1} allocated, ")?;
        write!(f, "{threads} threads, {files} files; ")?;
        write!(f, "{there} of {all} samples in their place")
    }
}

/// The instances, and everything around them.
pub(crate) struct Band {
    host: Host,
    members: Vec<Member>,
    screen: Option<Screen>,
    /// Bundles that are chosen; the last is none.
    bundles: Vec<PathBuf>,
    /// The project in which notes are compared, and how the note is bounced at each rate.
    project: Vec<u8>,
    bounced: HashMap<u32, Sound>,
    began: Instant,
    thrown: u32,
    heard: Endured,
    _folder: TempDir,
}

struct Member {
    performance: Performance,
    rate: u32,
    /// The host's window in which that of the instance is open.
    window: Option<u32>,
}

impl Band {
    /// So many instances that begin to play. Windows are opened on `screen`.
    pub(crate) fn new(members: usize, screen: Option<Screen>) -> Self {
        let host = host();
        let mut first = host.instrument().unwrap();
        enter(&mut first, "Variations", "1");
        let folder = tempfile::tempdir().unwrap();
        let mut band = Self {
            project: first.save().unwrap(),
            bounced: HashMap::new(),
            bundles: bundles(folder.path()),
            members: Vec::new(),
            host,
            screen,
            began: Instant::now(),
            thrown: 0,
            heard: Endured::default(),
            _folder: folder,
        };
        for _ in 0..members {
            let member = band.member(ENDLESS);
            band.members.push(member);
        }
        band
    }

    /// Hours since it began.
    pub(crate) fn hours(&self) -> f64 {
        self.began.elapsed().as_secs_f64() / 3600.0
    }

    fn below(&mut self, n: usize) -> usize {
        self.thrown += 1;
        let share = uniform(TakeKey { seed: 6, take: 0 }, self.thrown, 0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let number = (share * n as f32) as usize;
        number.min(n - 1)
    }

    /// A new instance, which plays so many variations of a note.
    fn member(&mut self, variations: &str) -> Member {
        let mut instrument = self.host.instrument().unwrap();
        enter(&mut instrument, "Variations", variations);
        let performance = Performance::new(instrument);
        let mut member = Member { performance, rate: 0, window: None };
        self.start(&mut member);
        member
    }

    fn start(&mut self, member: &mut Member) {
        member.rate = RATES[self.below(RATES.len())];
        let block = BLOCKS[self.below(BLOCKS.len())];
        member.performance.start(self.thrown.into(), member.rate, block).unwrap();
    }

    fn stop(&mut self, member: &mut Member) {
        let Endured { samples, peak, not_finite } = member.performance.stop().unwrap();
        assert_eq!(not_finite, 0);
        assert!(peak <= 1.0, "{peak}");
        self.heard.samples += samples;
        self.heard.peak = self.heard.peak.max(peak);
    }

    /// All that takes much memory, in all instances at the same time, again and again: chance seldom brings
    /// it about.
    pub(crate) fn tutti(&mut self) {
        for round in 0..TUTTI {
            let mut members = std::mem::take(&mut self.members);
            for member in &mut members {
                self.stop(member);
                *member = self.member("16");
                if self.screen.is_some() {
                    self.open_window(member);
                }
            }
            for member in &mut members {
                let instrument = member.performance.instrument();
                let saved = instrument.save().unwrap();
                let bundle = &self.bundles[round % (self.bundles.len() - 1)];
                instrument.load(&state::with_bundle(&saved, bundle).unwrap()).unwrap();
            }
            self.members = members;
            self.play(600);
            let mut members = std::mem::take(&mut self.members);
            members.iter_mut().for_each(|member| self.close_window(member));
            self.members = members;
        }
    }

    /// Plays, and changes something every second or so.
    pub(crate) fn improvise(&mut self, how_long: Duration) {
        let began = Instant::now();
        while began.elapsed() < how_long {
            let which = self.below(self.members.len());
            let mut member = self.members.swap_remove(which);
            self.change(&mut member);
            self.members.push(member);
            let ticks = 10 + self.below(200);
            self.play(ticks);
        }
    }

    /// Plays on, for so many times five milliseconds.
    fn play(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.members.iter_mut().for_each(|member| member.performance.serve());
            sleep(Duration::from_millis(5));
        }
    }

    fn change(&mut self, member: &mut Member) {
        match self.below(8) {
            0 => {
                let saved = member.performance.instrument().save().unwrap();
                member.performance.instrument().load(&saved).unwrap();
            }
            1 => {
                let other = self.below(self.members.len());
                let project = self.members[other].performance.instrument().save().unwrap();
                member.performance.instrument().load(&project).unwrap();
            }
            2 | 3 => {
                let bundle = self.below(self.bundles.len());
                let saved = member.performance.instrument().save().unwrap();
                let project = state::with_bundle(&saved, &self.bundles[bundle]).unwrap();
                member.performance.instrument().load(&project).unwrap();
            }
            4 => {
                self.stop(member);
                self.start(member);
            }
            5 if self.below(3) == 0 => {
                self.close_window(member);
                self.stop(member);
                *member = self.member(ENDLESS);
            }
            _ if self.screen.is_none() => {}
            _ if member.window.is_some() && self.below(2) == 0 => self.close_window(member),
            _ if member.window.is_some() => {
                let page = PAGES[self.below(PAGES.len())];
                self.screen.as_ref().unwrap().click(page).unwrap();
            }
            _ => self.open_window(member),
        }
    }

    fn open_window(&mut self, member: &mut Member) {
        let screen = self.screen.as_ref().unwrap();
        let parent = screen.window(1960, 1320).unwrap();
        member.performance.instrument().open_window(parent, 1.0).unwrap();
        member.window = Some(parent);
    }

    fn close_window(&mut self, member: &mut Member) {
        if let Some(window) = member.window.take() {
            member.performance.instrument().close_window();
            self.screen.as_ref().unwrap().destroy(window).unwrap();
        }
    }

    /// All open the same project, without windows, and play a note as it is in a bounce.
    pub(crate) fn rehearse(&mut self) -> Kept {
        let mut in_place = [0, 0];
        let mut members = std::mem::take(&mut self.members);
        let mut left: Vec<&mut Member> = members.iter_mut().collect();
        for attempt in 1.. {
            for member in &mut left {
                self.close_window(member);
                member.performance.rest().unwrap();
                member.performance.instrument().load(&self.project).unwrap();
                member.performance.ask_for(NOTE).unwrap();
            }
            left.retain_mut(|member| {
                let heard = member.performance.wait().unwrap();
                let bounced = self.bounced.entry(member.rate);
                let bounced =
                    bounced.or_insert_with(|| bounce(&self.host, &self.project, member.rate));
                let there = equal(bounced, &heard);
                in_place = [in_place[0] + there, in_place[1] + bounced.len().min(heard.len())];
                there < IN_PLACE
            });
            if left.is_empty() {
                break;
            }
            assert!(attempt < TRIES, "sound is missing, or not in its place");
        }
        self.members = members;
        let count = |of| fs::read_dir(format!("/proc/self/{of}")).unwrap().count();
        Kept {
            hours: self.hours(),
            resident: memory::resident().unwrap(),
            needed: memory::needed().unwrap(),
            allocated: memory::allocated(),
            threads: count("task"),
            files: count("fd"),
            in_place,
        }
    }

    /// Ends, and tells what was heard.
    pub(crate) fn part(mut self) -> Endured {
        for mut member in std::mem::take(&mut self.members) {
            self.close_window(&mut member);
            self.stop(&mut member);
        }
        self.heard
    }
}

/// The note as an instance of its own bounces it.
fn bounce(host: &Host, project: &[u8], rate: u32) -> Sound {
    let mut instrument = host.instrument().unwrap();
    instrument.load(project).unwrap();
    let second = Note { start: 1.0, end: 1.0 + NOTE.end, ..NOTE };
    let playback = Playback { rate, seconds: second.end, ..Playback::default() };
    let mut sound = instrument.play(&[second], &playback).unwrap();
    sound.channels.iter_mut().for_each(|channel| drop(channel.drain(..rate as usize)));
    sound
}

/// Samples that are there and the same.
fn equal(bounced: &Sound, heard: &Sound) -> usize {
    let frame = |sound: &Sound, at: usize| [0, 1].map(|channel: usize| sound.channels[channel][at]);
    let frames =
        (0..bounced.len().min(heard.len())).map(|at| (frame(bounced, at), frame(heard, at)));
    frames.filter(|(bounced, heard)| *bounced != [0.0; 2] && bounced == heard).count()
}

/// Three bundles, and a place where none is.
fn bundles(folder: &Path) -> Vec<PathBuf> {
    let factory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/factory.distill");
    let factory = Bundle::open(&factory).unwrap();
    let mut bundles = Vec::new();
    for name in ["Attic", "Bells", "Cellar"] {
        let mut card = factory.card().clone();
        name.clone_into(&mut card.name);
        let path = folder.join(format!("{name}.distill"));
        factory.clone().with_card(card).unwrap().write(&path).unwrap();
        bundles.push(path);
    }
    bundles.push(folder.join("Gone.distill"));
    bundles
}
