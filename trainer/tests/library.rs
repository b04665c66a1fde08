//! `distill library`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;

use program::{fail, own_toy, stdout, succeed};
use serde_json::Value;

#[test]
fn the_library_lists_adds_renames_and_removes() {
    let (folder, toy) = own_toy();
    let shelf = folder.path().join("shelf");
    fs::create_dir(&shelf).unwrap();
    fs::copy(&toy, shelf.join("a.distill")).unwrap();
    fs::write(shelf.join("broken.distill"), b"nothing").unwrap();
    fs::write(shelf.join("b.wav"), b"no bundle").unwrap();
    let list = |more: &str| {
        let arguments = format!("library --folder shelf --json {more}");
        let listed = stdout(&succeed(folder.path(), &arguments));
        serde_json::from_str::<Value>(&listed).unwrap()["bundles"].as_array().unwrap().clone()
    };
    let all = list("--sort longest");
    assert_eq!(all.len(), 2);
    assert!(all[0]["content"]["seconds"].as_f64().unwrap() > 0.0);
    assert!(all[1]["content"]["problem"].is_string());
    assert_eq!(list("--search BROKEN").len(), 1);
    let preset = r#"{"version":1,"name":"S","bundle":{"digest":"","name":"Toy"},"values":{}}"#;
    fs::write(shelf.join("Soft.distill-preset"), preset).unwrap();
    let plain = stdout(&succeed(folder.path(), "library --folder shelf"));
    assert!(plain.contains("cannot be read") && plain.lines().count() == 3, "{plain}");
    assert!(plain.lines().any(|line| line.starts_with("Soft ") && line.contains("for Toy")));
    let listed = stdout(&succeed(folder.path(), "library --folder shelf --json --search toy"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["presets"][0]["content"]["bundle"], "Toy");
    fail(folder.path(), "library rename shelf/a.distill broken", 1, "is there already");
    let tagged = stdout(&succeed(folder.path(), "library tag shelf/a.distill soft,#felt soft"));
    assert_eq!(tagged.trim(), "#soft #felt");
    fail(folder.path(), "library tag shelf/a.distill a/b", 1, "is no tag");
    fail(folder.path(), "library tag shelf/none.distill soft", 1, "is not a file");
    succeed(folder.path(), "library rename shelf/a.distill bells");
    let found = list("--search #FELT");
    assert_eq!(found.iter().map(|entry| &entry["name"]).collect::<Vec<_>>(), ["bells"]);
    assert!(stdout(&succeed(folder.path(), "library --folder shelf")).contains("#soft #felt"));
    let name = toy.file_name().unwrap().to_string_lossy().into_owned();
    let add = format!("library --folder shelf add {name} shelf/bells.distill");
    assert!(stdout(&succeed(folder.path(), &add)).contains(&name));
    assert_eq!(fs::read(shelf.join(&name)).unwrap(), fs::read(&toy).unwrap());
    succeed(folder.path(), &format!("library remove shelf/{name} --yes"));
    fail(folder.path(), "library --folder shelf add shelf/b.wav", 1, "is no .distill");
    fail(folder.path(), "library --folder shelf add gone.distill", 1, "cannot read gone.distill");
    fs::write(shelf.join("../cut.distill"), b"nothing").unwrap();
    fail(folder.path(), "library --folder shelf add cut.distill", 1, "cut.distill");
    // A name alone is one of the library, whatever lies here.
    fs::copy(&toy, folder.path().join("bells.distill")).unwrap();
    succeed(folder.path(), "library --folder shelf tag bells bronze");
    assert_eq!(list("--search #bronze").len(), 1);
    fail(folder.path(), "library --folder shelf remove gone --yes", 1, "is not in the library");
    fail(folder.path(), "library --folder gone", 1, "is not a folder");
    succeed(folder.path(), "library --folder shelf rename bells gongs");
    succeed(folder.path(), "library --folder shelf rename gongs.distill bells");
    fail(folder.path(), "library remove shelf/bells.distill", 2, "--yes");
    assert!(shelf.join("bells.distill").exists());
    succeed(folder.path(), "library --folder shelf remove bells --yes");
    assert_eq!(list("").len(), 1);
    assert!(folder.path().join("bells.distill").exists());
}
