//! Heads: how many are kept, and in which order they are made.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod toy;

use std::sync::Arc;

use distill_plugin::desk::Desk;
use distill_plugin::heads::{HEADS, Heads};
use distill_plugin::instance::Instance;
use distill_plugin::sets::HeadSets;
use distill_plugin::source::{Need, Source};
use distill_plugin::state::BundleRef;
use distill_plugin::stream::{LOOKAHEAD, Patch, Ticket, connect};
use distill_plugin::zones::Zones;
use distill_shared::model::conditioning::Pitches;
use distill_shared::player::{Model, Sampling};
use toy::{HOP, Keys, Stage, key, note};

/// A patch with as many zones as there are `pitches`.
fn patch(pitches: Pitches, edition: u64) -> Patch {
    let zones = Some(Zones { pads: false, clips: 0, pitches, attacks: None });
    Patch { edition, zones, seed: 1, variations: 0, clips: 0, sampling: Sampling::default() }
}

/// What a set asks for while nothing comes.
fn wanted(mut heads: Heads) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    while let Some(ticket) = heads.wanted(0) {
        heads.has_asked(&ticket);
        tickets.push(ticket);
    }
    tickets
}

#[test]
fn of_many_zones_each_has_two_heads_and_one_while_they_are_spare() {
    let many = patch(Pitches::new(40..64), 0);
    assert_eq!(wanted(Heads::new(0, many, 0)).len(), 48);
    assert_eq!(wanted(Heads::new(0, many, 0).spared()).len(), 24);
    let single = patch(Pitches::default(), 0);
    assert_eq!(wanted(Heads::new(0, single, 0)).len(), 9);
    assert_eq!(wanted(Heads::new(0, single, 0).spared()).len(), 9);
}

#[test]
fn spare_heads_that_are_needed_become_as_many_as_others() {
    let many = patch(Pitches::new(40..64), 0);
    let mut heads = Heads::new(0, many, 0).spared();
    while let Some(ticket) = heads.wanted(0) {
        heads.has_asked(&ticket);
    }
    assert_eq!(wanted(heads.promoted()).len(), 24);
}

#[test]
fn a_take_that_began_while_there_was_no_room_to_ask_for_it_is_asked_for_first() {
    let many = patch(Pitches::new(40..64), 0);
    let (mut audio, mut worker) = connect();
    let other = Heads::new(9, many, 0);
    let ticket = other.wanted(0).unwrap();
    while audio.tickets.push(ticket).is_ok() {}
    let mut sets = HeadSets::new(many);
    sets.ask(&mut audio);
    let begun = [45, 45, 50].map(|key| sets.begin_take(Some(key), 1.0, &mut audio));
    sets.ask(&mut audio);
    while worker.tickets.pop().is_ok() {}
    sets.ask_on(&mut audio);
    let asked: Vec<_> = (0..3).map(|_| worker.tickets.pop().unwrap()).collect();
    for start in &begun {
        let is_it =
            |ticket: &Ticket| (ticket.generation, ticket.take) == (start.generation, start.take);
        assert_eq!(asked.iter().filter(|ticket| is_it(ticket)).count(), 1, "{start:?}");
    }
}

#[test]
fn a_head_that_was_begun_is_made_before_another_is_begun() {
    let pitches = Pitches::new([50, 60, 70]);
    let instance = Arc::new(Instance::default());
    let edition = instance.choose(BundleRef::default());
    let (mut audio, worker) = connect();
    let mut desk = Desk::new(0, worker, Arc::clone(&instance));
    desk.set_model(edition, toy::pitched_model(7, pitches));
    for ticket in wanted(Heads::new(0, patch(pitches, edition), 0)) {
        audio.tickets.push(ticket).unwrap();
    }
    desk.tend();
    let mut streams = Vec::new();
    while let Ok(stream) = audio.streams.pop() {
        streams.push(stream);
    }
    assert_eq!(streams.len(), 3 * 9);
    let mut finished = Vec::new();
    for _ in 0..4 * LOOKAHEAD {
        let mut sources = vec![desk.pick(None).unwrap()];
        Source::step_together(&mut sources).unwrap();
        sources.into_iter().for_each(|source| desk.put_back(source));
        let begun = streams.iter().filter(|stream| stream.sound.slots() > 0);
        let open: Vec<_> =
            begun.clone().filter(|stream| stream.sound.slots() < LOOKAHEAD * HOP).collect();
        assert!(open.len() <= 1, "one at a time");
        for stream in begun.filter(|stream| stream.sound.slots() == LOOKAHEAD * HOP) {
            let note = (stream.take & 0xFFFF_FFFF, stream.zone.pitch.unwrap());
            if !finished.contains(&note) {
                finished.push(note);
            }
        }
    }
    assert_eq!(
        finished,
        [(0, 50), (0, 60), (0, 70), (1, 50)],
        "the first notes of all zones first"
    );
}

#[test]
fn a_note_that_waits_for_its_take_gets_it_though_other_heads_come_meanwhile() {
    let mut stage = Stage::new(7);
    let output = &mut [vec![0.0; 13_000], vec![0.0; 13_000]];
    stage.settings.seed = 2;
    stage.engine.reset(&stage.settings.clone());
    stage.begin(0);
    stage.engine.note_on(note(60));
    // No worker has looked yet when other heads replace those of the note.
    stage.settings.seed = 3;
    let [left, right] = output;
    for (left, right) in left.chunks_mut(500).zip(right.chunks_mut(500)) {
        stage.begin(left.len());
        stage.engine.render(left, right);
        stage.engine.finish();
    }
    assert!(left.iter().all(|sample| *sample == 0.0));
    assert!(stage.listen(2000)[0].iter().any(|sample| *sample != 0.0));
}

/// What is heard after a while on the left of notes some of which began, and of these some ended, before
/// `model` came; `late` says whether it did, or was there from the beginning.
fn heard_of_a_pass(model: &Arc<Model>, late: bool) -> Vec<f32> {
    let mut stage = Stage::loading();
    stage.settings.keys = Keys::Pitches;
    stage.engine.reset(&stage.settings.clone());
    if !late {
        stage.deliver(model);
    }
    stage.begin(0);
    stage.engine.note_on(note(60));
    stage.engine.note_on(note(50));
    stage.listen(300);
    stage.engine.note_off(&key(60));
    stage.listen(600);
    [60, 50, 71].into_iter().for_each(|key| stage.engine.note_on(note(key)));
    stage.listen(500);
    if late {
        stage.deliver(model);
    }
    stage.listen(1000);
    [62, 49].into_iter().for_each(|key| stage.engine.note_on(note(key)));
    stage.listen(5000)[0].clone()
}

#[test]
fn notes_that_began_while_the_bundle_was_loaded_count_as_they_do_in_a_bounce() {
    let pitches = Pitches::new([50, 60, 70]);
    for model in [toy::model(7), toy::pitched_model(7, pitches)] {
        let [late, in_time] = [true, false].map(|late| heard_of_a_pass(&model, late));
        assert!(in_time.iter().any(|sample| *sample != 0.0));
        let off = late.iter().zip(&in_time).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "{off}");
    }
}

/// How much the heads of a set of one zone need a worker, most first, whose takes begin with `first`.
fn needs(first: u64) -> Vec<Need> {
    let instance = Arc::new(Instance::default());
    let edition = instance.choose(BundleRef::default());
    let (mut audio, worker) = connect();
    let mut desk = Desk::new(0, worker, Arc::clone(&instance));
    desk.set_model(edition, toy::model(7));
    for ticket in wanted(Heads::new(0, patch(Pitches::default(), edition), first)) {
        audio.tickets.push(ticket).unwrap();
    }
    desk.tend();
    let mut needs: Vec<_> = desk.needs(None).map(|(_, need)| need).collect();
    needs.sort();
    needs
}

#[test]
fn of_many_instances_none_is_served_last_because_its_notes_are_counted_from_far() {
    let (far, near) = (needs(1024 * 4096), needs(0));
    for (n, next) in (1..HEADS).enumerate() {
        assert!(far[n] < near[next] && near[n] < far[next], "the nth of both before the next");
        assert!(far[n] < near[n], "what has waited longest");
    }
}

#[test]
fn a_bundle_that_comes_after_a_later_choice_changes_nothing() {
    let mut stage = Stage::loading();
    let before = stage.instance.edition();
    stage.instance.choose(BundleRef::default());
    stage.deliver(&toy::model(7));
    // Its drive had not answered.
    stage.desk.set_model(before, toy::model(8));
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    let mut expected = Stage::new(7);
    [&mut stage, &mut expected].into_iter().for_each(|stage| stage.engine.note_on(note(60)));
    let heard = stage.listen(4 * HOP);
    assert!(heard[0].iter().any(|sample| *sample != 0.0));
    assert_eq!(heard, expected.listen(4 * HOP));
}
