use super::*;

#[test]
fn levels_are_called_by_what_they_decide() {
    let names: Vec<_> = [0, 1, 2, 7, 8, 15].map(|level| name(level, 16)).into();
    let wanted = ["Structure 1", "Structure 2", "Timbre 1", "Timbre 6", "Detail 1", "Detail 8"];
    assert_eq!(names, wanted);
    assert_eq!(name(0, 1), "Structure 1");
}

/// The window at each of `moments`, in which that is done, over and over.
fn run(
    context: &egui::Context,
    moments: Vec<Vec<egui::Event>>,
    mut show: impl FnMut(&mut egui::Ui),
) -> Vec<egui::FullOutput> {
    let size = egui::vec2(800.0, 400.0);
    let moment = |(n, events)| {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some(n as f64 * 0.02),
            events,
            ..Default::default()
        };
        let mut output = context.run_ui(input, &mut show);
        // There is no graphics card that would take them.
        output.textures_delta.clear();
        output
    };
    moments.into_iter().enumerate().map(moment).collect()
}

/// What comes of it if that is done to the names of three levels.
fn named(moments: Vec<Vec<egui::Event>>) -> Option<Touch> {
    let mut codes = Codes::new(3);
    (0..9).for_each(|_| codes.push(&[1, 2, 3]));
    let (mut draft, mut grid) = (Draft::new(codes.into()), Grid::default());
    let names = ["Stroke", "Ring", "Hiss"].map(str::to_owned);
    let (heard, follows, height) = (None, false, 300.0);
    let view = View { frame_rate: 50.0, heard, follows, height, names: &names };
    let mut touch = None;
    let context = egui::Context::default();
    run(&context, moments, |ui| touch = grid.show(ui, &mut draft, &view).or(touch.take()));
    touch
}

#[test]
fn a_level_that_is_clicked_twice_takes_a_name() {
    let pos = egui::pos2(50.0, 80.0);
    let (button, modifiers) = (egui::PointerButton::Primary, egui::Modifiers::NONE);
    let click = |pressed| egui::Event::PointerButton { pos, button, pressed, modifiers };
    let key = |key, modifiers| {
        let (physical_key, pressed, repeat) = (None, true, false);
        egui::Event::Key { key, physical_key, pressed, repeat, modifiers }
    };
    let after = |last| {
        named(vec![
            vec![egui::Event::PointerMoved(pos)],
            vec![click(true)],
            vec![click(false)],
            vec![click(true)],
            vec![click(false)],
            vec![],
            vec![],
            vec![key(egui::Key::A, egui::Modifiers::COMMAND)],
            vec![egui::Event::Text("Attack \u{1f514}".to_owned())],
            vec![key(last, modifiers)],
            vec![],
        ])
    };
    assert_eq!(after(egui::Key::Enter), Some(Touch::Name(1, "Attack \u{1f514}".to_owned())));
    assert!(!matches!(after(egui::Key::Escape), Some(Touch::Name(..))));
}

/// Vertices that a picture of a clip of so many frames is made of.
fn vertices(frames: usize) -> usize {
    let codes = {
        let mut codes = Codes::new(3);
        let small = |n: usize| u32::try_from(n % 99).expect("small");
        (0..frames).for_each(|t| codes.push(&[t, t / 2, t / 3].map(small)));
        codes
    };
    let (mut draft, mut grid) = (Draft::new(codes.into()), Grid::default());
    let names = ["Stroke", "Timbre 1", "A long name of a level"].map(str::to_owned);
    let (heard, follows, height) = (Some(3), false, 300.0);
    let view = View { frame_rate: 50.0, heard, follows, height, names: &names };
    let context = egui::Context::default();
    let mut outputs = run(&context, vec![vec![]; 3], |ui| drop(grid.show(ui, &mut draft, &view)));
    let shapes = outputs.pop().map(|output| output.shapes).unwrap_or_default();
    let pieces = context.tessellate(shapes, 1.0);
    let vertices = pieces.iter().map(|piece| match &piece.primitive {
        egui::epaint::Primitive::Mesh(mesh) => mesh.vertices.len(),
        egui::epaint::Primitive::Callback(_) => 0,
    });
    vertices.sum()
}

#[test]
fn only_what_is_in_sight_is_drawn() {
    let (short, long) = (vertices(200), vertices(20_000));
    // 80 frames of 3 levels fit, four corners each, and names, times and marks.
    assert!((3 * 60 * 4..3 * 160 * 4).contains(&short), "{short} vertices");
    assert!(long.abs_diff(short) < 200, "{long} and {short} vertices");
}

#[test]
fn entries_can_be_read_on_their_colours() {
    let luma = |c: egui::Color32| {
        0.2126 * f32::from(c.r()) + 0.7152 * f32::from(c.g()) + 0.0722 * f32::from(c.b())
    };
    for code in 0..256 {
        for level in [0, 4, 12] {
            let colour = colour(code, level, 16);
            assert!((luma(colour) - luma(ink(colour))).abs() > 60.0, "entry {code}");
        }
    }
}
