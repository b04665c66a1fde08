//! Which bundle a project plays: saved, loaded, missing, found again.

mod toy;

use std::fs;
use std::path::Path;
use std::time::Duration;

use distill_plugin::instance::{Phase, Stop};
use distill_plugin::patience::wait_at_most;
use distill_plugin::selection::Selection;
use distill_plugin::state::BundleRef;
use nice_plug::params::persist::PersistentField;

fn choose(reference: BundleRef) -> Selection {
    let (selection, _) = Selection::new();
    choose_with(&selection, reference);
    selection
}

fn choose_with(selection: &Selection, reference: BundleRef) {
    selection.set(reference);
    let instance = selection.instance();
    wait_at_most(Duration::from_secs(20), || instance.phase() != Phase::Loading);
}

fn file(path: &Path) -> BundleRef {
    BundleRef::file(path.to_string_lossy().into_owned())
}

fn saved(selection: &Selection) -> BundleRef {
    selection.map(BundleRef::clone)
}

#[test]
fn a_saved_choice_names_path_digest_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    let bundle = toy::bundle(7);
    bundle.write(&path).unwrap();
    let selection = choose(file(&path));
    assert_eq!(selection.instance().phase(), Phase::Ready);
    let reference = saved(&selection);
    assert_eq!(reference.digest, bundle.digest());
    assert_eq!(reference.name, "Toy 7");
    assert_eq!(Path::new(&reference.path), path);
    let again = choose(reference.clone());
    assert_eq!(again.instance().phase(), Phase::Ready);
    assert_eq!(saved(&again), reference);
}

#[test]
fn a_moved_bundle_is_found_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.distill"), folder.path().join("new.distill"));
    toy::bundle(7).write(&old).unwrap();
    let reference = saved(&choose(file(&old)));
    fs::rename(&old, &new).unwrap();
    // Under the old name there are other sounds now.
    toy::bundle(8).write(&old).unwrap();
    let selection = choose(reference.clone());
    assert_eq!(selection.instance().phase(), Phase::Ready);
    let found = saved(&selection);
    assert_eq!((found.digest, Path::new(&found.path)), (reference.digest, new.as_path()));
}

#[test]
fn a_missing_bundle_is_named_and_its_reference_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle(7).write(&path).unwrap();
    let reference = saved(&choose(file(&path)));
    fs::remove_file(&path).unwrap();
    let selection = choose(reference.clone());
    assert_eq!(selection.instance().phase(), Phase::Failed);
    let error = selection.instance().texts().error;
    assert!(error.contains("Toy 7") && error.contains("toy.distill"), "{error}");
    assert_eq!(saved(&selection), reference);
}

#[test]
fn other_sounds_under_the_same_name_are_not_used_silently() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle(7).write(&path).unwrap();
    let reference = saved(&choose(file(&path)));
    toy::bundle(8).write(&path).unwrap();
    let selection = choose(reference.clone());
    assert_eq!(selection.instance().phase(), Phase::Failed);
    let error = selection.instance().texts().error;
    assert!(error.contains("other sounds"), "{error}");
    assert_eq!(saved(&selection), reference);
}

#[test]
fn a_damaged_file_is_named_and_what_was_refused_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    let bytes = toy::bundle(7).to_bytes();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let selection = choose(file(&path));
    assert_eq!(selection.instance().phase(), Phase::Failed);
    assert!(selection.instance().texts().error.contains("toy.distill"));

    fs::write(&path, &bytes).unwrap();
    choose_with(&selection, file(&path));
    let before = saved(&selection);
    let refused = "A newer Distill saved this project.".to_owned();
    choose_with(&selection, BundleRef { refused: refused.clone(), ..BundleRef::default() });
    assert_eq!(selection.instance().phase(), Phase::Ready);
    assert_eq!(saved(&selection), before);
    assert_eq!(selection.instance().texts().error, refused);
}

#[test]
fn the_last_of_many_choices_wins() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [7, 8].map(|seed| {
        let path = folder.path().join(format!("toy {seed}.distill"));
        toy::bundle(seed).write(&path).unwrap();
        path
    });
    let (selection, _) = Selection::new();
    for i in 0..101 {
        selection.choose(file(&paths[i % 2]));
    }
    choose_with(&selection, file(&paths[1]));
    assert_eq!(selection.instance().phase(), Phase::Ready);
    assert_eq!(saved(&selection).name, "Toy 8");
}

#[test]
fn a_bundle_that_plays_goes_on_when_the_same_state_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.distill");
    toy::bundle(7).write(&path).unwrap();
    let selection = choose(file(&path));
    let (reference, edition) = (saved(&selection), selection.instance().edition());
    choose_with(&selection, reference.clone());
    assert_eq!(selection.instance().edition(), edition);
    // It mends what has stopped.
    selection.instance().stop(Stop::Worker);
    choose_with(&selection, reference.clone());
    assert!(selection.instance().edition() > edition && selection.instance().stopped().is_none());
    // Another one, and one that is chosen by hand, are loaded.
    toy::bundle(8).write(&path).unwrap();
    choose_with(&selection, file(&path));
    assert_ne!(saved(&selection).digest, reference.digest);
    assert!(selection.instance().edition() > edition);
}

#[test]
fn why_a_project_was_refused_is_said_until_something_is_chosen() {
    let (selection, _) = Selection::new();
    let refused = "A newer Distill saved this project.".to_owned();
    // The host loads the state before it activates the instrument.
    choose_with(&selection, BundleRef { refused: refused.clone(), ..BundleRef::default() });
    selection.attach();
    let instance = selection.instance();
    wait_at_most(Duration::from_secs(20), || instance.phase() != Phase::Loading);
    assert_eq!((instance.phase(), instance.texts().error), (Phase::Ready, refused));
    choose_with(&selection, saved(&selection));
    assert_eq!((instance.phase(), instance.texts().error), (Phase::Ready, String::new()));
}
