//! The manual lists the controls that hosts show, as they show them.

mod built;

use distill_tests::host::Parameter;

#[test]
fn the_manual_lists_every_control_as_hosts_show_it() {
    let manual = include_str!("../../docs/manual.md");
    let mut instrument = built::instrument();
    let mut row = |parameter: &Parameter| {
        let values = [parameter.min, parameter.max, parameter.default];
        let [from, to, first] = values.map(|value| instrument.show(parameter, value).unwrap());
        format!("| {} | {from} | {to} | {first} | ", parameter.name)
    };
    let mut parameters = built::instrument().parameters();
    parameters.retain(|parameter| parameter.name != "Bundle choice");
    let rows: Vec<String> = parameters.iter().map(&mut row).collect();
    let lacking = |row: &&String| !manual.lines().any(|line| line.starts_with(*row));
    let lacking: Vec<_> = rows.iter().filter(lacking).collect();
    assert!(lacking.is_empty(), "docs/manual.md lacks {lacking:#?}");
}
