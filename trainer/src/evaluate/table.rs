//! An evaluation for people.

use distill_shared::bundle::Figures;

use super::{Evaluation, FileFigures};

/// Heads of the columns; what each holds is in [`super::metrics::Comparison`].
const HEADS: [&str; 9] =
    ["MR-STFT", "LSD", "LSD-tf", "log-mel", "mel-tf", "SC", "SI-SDR", "loudness", "width"];
/// What the numbers are.
const UNITS: &str = "dB, but MR-STFT and SC have no unit; larger is nearer in SI-SDR, smaller in \
                     all else; loudness and width: signed per file, magnitudes in the averages";

/// The evaluation as a table: a line per recording, averages, and what else was measured.
#[must_use]
pub fn text(evaluation: &Evaluation) -> String {
    let heads: Vec<String> = HEADS.iter().map(|head| format!("{head:>8}")).collect();
    let mut lines = vec![heads.join(" ")];
    lines.extend(evaluation.files.iter().map(|file| row(&figures(file), &file.name)));
    lines.push(String::new());
    lines.push(row(&evaluation.codec.mean, "mean"));
    lines.push(row(&evaluation.codec.median, "median"));
    if let Some(baseline) = &evaluation.griffin_lim {
        lines.push(row(&baseline.mean, "mean of Griffin-Lim from 128 mel bands"));
        lines.push(row(&baseline.median, "median of Griffin-Lim from 128 mel bands"));
    }
    lines.push(row(&evaluation.silence.mean, "mean of silence"));
    lines.push(UNITS.to_owned());
    lines.push(String::new());
    let bitrate = evaluation.bitrate;
    lines.push(format!(
        "bitrate  {:.2} kbit/s, entropy {:.2} kbit/s",
        bitrate.nominal, bitrate.entropy
    ));
    for (i, level) in evaluation.levels.iter().enumerate() {
        let (used, perplexity) = (100.0 * level.used, level.perplexity);
        lines.push(format!("level {:2} {used:3.0} % used, perplexity {perplexity:.1}", i + 1));
    }
    lines.extend(evaluation.shared.map(|shared| {
        format!(
            "copies   {:.0} % of these recordings have a part that is in the corpus, the longest {:.1} s",
            100.0 * shared.alarms,
            shared.longest_s
        )
    }));
    lines.push(format!(
        "speed    encode {:.4}, decode {:.4} of real time, on one thread",
        evaluation.encode_factor, evaluation.decode_factor
    ));
    lines.join("\n")
}

/// The figures of one recording, with the signs of its errors.
fn figures(file: &FileFigures) -> Figures {
    Figures {
        loudness_error_db: Some(file.loudness_error_db),
        width_error_db: file.width_error_db,
        ..file.codec.figures()
    }
}

/// One line, in the order of [`HEADS`].
fn row(figures: &Figures, name: &str) -> String {
    let cells = [
        cell(figures.mrstft, 3),
        cell(figures.lsd_db, 2),
        cell(figures.lsd_tf_db, 2),
        cell(figures.logmel_l1_db, 2),
        cell(figures.logmel_tf_db, 2),
        cell(figures.sc, 3),
        cell(figures.si_sdr_db, 2),
        cell(figures.loudness_error_db, 2),
        cell(figures.width_error_db, 2),
    ];
    format!("{}  {name}", cells.join(" "))
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| format!("{:>8}", "-"), |value| format!("{value:8.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_stands_under_its_head() {
        let figures = Figures {
            mrstft: Some(1.25),
            lsd_db: Some(2.0),
            lsd_tf_db: Some(3.0),
            logmel_l1_db: Some(4.0),
            logmel_tf_db: Some(5.0),
            sc: Some(0.125),
            si_sdr_db: Some(-7.5),
            loudness_error_db: Some(8.0),
            width_error_db: None,
        };
        let line = row(&figures, "a.wav");
        let cells: Vec<&str> = line.split_whitespace().collect();
        let expected =
            ["1.250", "2.00", "3.00", "4.00", "5.00", "0.125", "-7.50", "8.00", "-", "a.wav"];
        assert_eq!(cells, expected);
        assert_eq!(line.find("a.wav"), Some(9 * HEADS.len() + 1));
    }
}
