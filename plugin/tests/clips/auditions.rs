//! What the editor lets hear, beside what plays.

use super::*;

#[test]
fn an_audition_is_heard_beside_the_notes_and_ends() {
    let codes = random_codes(FRAMES, 3);
    let alone = {
        let mut stage = Stage::new(7);
        stage.settings.gain = 0.01;
        stage.engine.reset(&stage.settings.clone());
        strike(&mut stage, 60, 40)
    };
    let mut stage = Stage::new(7);
    stage.settings.gain = 0.01;
    stage.settings.voicing = Voicing::Mono;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage.engine.note_on(note(60));
    let whole = Audition::whole(Arc::new(codes.clone()));
    stage.instance.auditions().begin(whole);
    let heard = stage.listen(40 * HOP)[0].clone();
    assert_eq!(stage.instance.auditions().wanted(), None, "it is over");
    assert_eq!(stage.instance.missed(), 0, "its end is nothing that was missed");
    let own: Vec<f32> = heard.iter().zip(&alone).map(|(both, note)| both - note).collect();
    let clip: Vec<f32> = played(&model(7), &codes, 20).iter().map(|s| 0.01 * s).collect();
    // It begins as soon as the worker has made it.
    let start = own.iter().position(|sample| sample.abs() > 1e-6).unwrap();
    let wanted = clip.iter().position(|sample| sample.abs() > 1e-6).unwrap();
    let pairs = own[start..].iter().zip(&clip[wanted..19 * HOP]);
    assert!(pairs.clone().all(|(own, clip)| (own - clip).abs() < 1e-5));
    assert!(start - wanted.min(start) <= 256, "{start} samples after");
}

#[test]
fn a_preview_is_heard_as_it_is_whatever_plays() {
    let mut stage = Stage::new(7);
    stage.settings.gain = 0.5;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let tone = |hz: f32| (0..5 * HOP + 3).map(|i| 0.4 * (hz * i as f32).sin() + 0.01).collect();
    let channels: Vec<Vec<f32>> = vec![tone(0.2), tone(0.3)];
    let preview = Preview { channels: channels.clone(), rate: 48_000 };
    let number = stage.instance.auditions().begin(preview);
    assert_eq!(stage.instance.auditions().wanted(), Some(number));
    let heard = stage.listen(20 * HOP);
    assert_eq!(stage.instance.auditions().wanted(), None, "it is over");
    for (heard, wanted) in heard.iter().zip(&channels) {
        let start = heard.iter().position(|sample| *sample != 0.0).unwrap();
        let pairs = heard[start..].iter().zip(wanted);
        assert!(pairs.clone().all(|(heard, wanted)| (heard - 0.5 * wanted).abs() < 1e-4));
        assert!(heard[start + wanted.len()..].iter().all(|sample| sample.abs() < 1e-4));
    }
    let nothing = Preview { channels: vec![Vec::new()], rate: 48_000 };
    stage.instance.auditions().begin(nothing);
    assert!(stage.listen(4 * HOP)[0].iter().all(|sample| *sample == 0.0));
    assert_eq!(stage.instance.auditions().wanted(), None);
}

#[test]
fn an_audition_that_cannot_be_played_is_over_at_once() {
    let mut stage = Stage::new(7);
    let codes = Arc::new(random_codes(FRAMES, 3));
    for audition in [
        Audition { frames: 20..24, looped: true, ..Audition::whole(Arc::clone(&codes)) },
        Audition {
            other: Some(Arc::new(random_codes(3, 4))),
            frames: 5..9,
            ..Audition::whole(Arc::clone(&codes))
        },
        Audition::whole(Arc::new(Codes::new(3))),
    ] {
        stage.instance.auditions().begin(audition);
        assert!(stage.listen(4 * HOP)[0].iter().all(|sample| *sample == 0.0));
        assert_eq!(stage.instance.auditions().wanted(), None);
    }
}

/// A stage, faint enough that nothing is bent, and two clips that are compared on it.
fn comparing(frames: [u32; 2], looped: bool) -> (Stage, [Arc<Codes>; 2]) {
    let codes = [(frames[0], 3), (frames[1], 4)].map(|(n, seed)| Arc::new(random_codes(n, seed)));
    let mut stage = Stage::new(7);
    stage.settings.gain = 0.01;
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    let [one, other] = codes.clone();
    let frames = 0..one.frames().max(other.frames());
    let audition = Audition { codes: one, other: Some(other), frames, looped };
    stage.instance.auditions().begin(audition);
    (stage, codes)
}

#[test]
fn the_other_of_two_clips_is_heard_at_the_same_place_and_without_a_click() {
    let (mut stage, codes) = comparing([FRAMES, FRAMES], false);
    let mut heard = stage.listen(8 * HOP)[0].clone();
    stage.instance.auditions().turn_to(1);
    let turned = heard.len();
    heard.extend(stage.listen(4 * HOP)[0].clone());
    stage.instance.auditions().turn_to(0);
    let back = heard.len();
    heard.extend(stage.listen(20 * HOP)[0].clone());
    let [one, other] = codes.map(|codes| -> Vec<f32> {
        played(&model(7), &codes, 40).iter().map(|sample| 0.01 * sample).collect()
    });
    let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
    let begins = |at: &usize| (0..2 * HOP).all(|n| close(heard[at + n], one[n]));
    let start = (0..=512).find(begins).expect("it begins at once");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
    let fade = (FADE_SECONDS * RATE) as usize + 1;
    let (heard, turned, back) = (&heard[start..], turned - start, back - start);
    let is =
        |wanted: &[f32], from: usize, to: usize| (from..to).all(|n| close(heard[n], wanted[n]));
    assert!(is(&one, 0, turned));
    assert!(is(&other, turned + fade, back), "at the very place");
    assert!(is(&one, back + fade, FRAMES as usize * HOP - fade));
    for n in (turned..turned + fade).chain(back..back + fade) {
        let (low, high) = (one[n].min(other[n]), one[n].max(other[n]));
        assert!((low - 1e-6..=high + 1e-6).contains(&heard[n]), "one comes as the other fades");
    }
    assert_eq!(stage.instance.auditions().wanted(), None, "it is over");
}

#[test]
fn the_shorter_of_two_clips_ends_and_the_longer_goes_on() {
    let (mut stage, codes) = comparing([6, FRAMES], false);
    stage.listen(12 * HOP);
    assert!(stage.instance.auditions().wanted().is_some(), "one goes on");
    assert!(stage.listen(HOP)[0].iter().all(|sample| *sample == 0.0), "and is not heard");
    stage.instance.auditions().turn_to(1);
    assert!(stage.listen(2 * HOP)[0].iter().any(|sample| *sample != 0.0));
    stage.listen(2 * FRAMES as usize * HOP);
    assert_eq!(stage.instance.auditions().wanted(), None);
    let pair = Audition { other: Some(codes[1].clone()), ..Audition::whole(codes[0].clone()) };
    let looped = Audition { looped: true, ..pair };
    assert_eq!(looped.of(1).map(|other| other.frames), Some(0..6), "loops stay together");
    assert_eq!(Audition::whole(codes[0].clone()).of(1), None);
}

#[test]
fn what_follows_two_clips_that_were_compared_is_heard_on_its_only_side() {
    let (mut stage, codes) = comparing([FRAMES, FRAMES], true);
    stage.instance.auditions().turn_to(1);
    stage.listen(30 * HOP);
    stage.instance.auditions().begin(Audition::whole(codes[0].clone()));
    stage.listen(8 * HOP);
    assert!(stage.listen(4 * HOP)[0].iter().any(|sample| *sample != 0.0));
    stage.instance.auditions().end();
    stage.listen(4 * HOP);
    assert!(!stage.engine.is_sounding());
}

#[test]
fn an_audition_is_never_heard_in_a_file() {
    let mut stage = Stage::new(7);
    stage.engine.activate(RATE, true);
    stage.engine.reset(&stage.settings.clone());
    stage.work();
    stage.instance.auditions().begin(Audition::whole(Arc::new(random_codes(FRAMES, 3))));
    assert!(stage.listen(30 * HOP)[0].iter().all(|sample| *sample == 0.0));
}

#[test]
fn a_looped_audition_goes_on_until_it_is_ended_or_another_begins() {
    let mut stage = Stage::new(7);
    let codes = Arc::new(random_codes(FRAMES, 3));
    let looped = Audition { frames: 4..8, looped: true, ..Audition::whole(codes) };
    stage.instance.auditions().begin(looped.clone());
    stage.listen(100 * HOP);
    let heard = stage.instance.auditions().heard().unwrap();
    assert!((95..=100).contains(&heard), "{heard} frames");
    assert!(stage.listen(HOP)[0].iter().any(|sample| *sample != 0.0));
    stage.instance.auditions().begin(Audition { looped: false, ..looped });
    stage.listen(30 * HOP);
    assert!(stage.listen(HOP)[0].iter().all(|sample| *sample == 0.0));
    assert_eq!(stage.instance.auditions().heard(), None);
}
