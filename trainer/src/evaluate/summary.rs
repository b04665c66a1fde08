//! Figures of many recordings as one.

use distill_shared::bundle::{Averages, EvaluationSummary, Figures};

use super::{Evaluation, FileFigures};
use crate::date;

/// Mean and median of the codec. Errors of loudness and width count by their magnitude, so that
/// too loud and too quiet do not cancel.
#[must_use]
pub fn of_codec(files: &[FileFigures]) -> Averages {
    let figures = |file: &FileFigures| Figures {
        loudness_error_db: Some(file.loudness_error_db.abs()),
        width_error_db: file.width_error_db.map(f64::abs),
        ..file.codec.figures()
    };
    averages(&files.iter().map(figures).collect::<Vec<_>>())
}

/// Mean and median of the baseline, if it was measured.
#[must_use]
pub fn of_griffin_lim(files: &[FileFigures]) -> Option<Averages> {
    let measured: Vec<Figures> =
        files.iter().filter_map(|file| Some(file.griffin_lim?.figures())).collect();
    (!measured.is_empty()).then(|| averages(&measured))
}

/// Mean and median of silence, whose ratio of signal to distortion means nothing.
#[must_use]
pub fn of_silence(files: &[FileFigures]) -> Averages {
    let figures = |file: &FileFigures| Figures { si_sdr_db: None, ..file.silence.figures() };
    averages(&files.iter().map(figures).collect::<Vec<_>>())
}

fn averages(files: &[Figures]) -> Averages {
    Averages { mean: each(files, mean), median: each(files, median) }
}

/// Reduces each figure by itself, over the recordings that have it.
fn each(files: &[Figures], reduce: fn(&mut [f64]) -> Option<f64>) -> Figures {
    let of = |figure: fn(&Figures) -> Option<f64>| {
        reduce(&mut files.iter().filter_map(figure).collect::<Vec<_>>())
    };
    Figures {
        mrstft: of(|file| file.mrstft),
        lsd_db: of(|file| file.lsd_db),
        lsd_tf_db: of(|file| file.lsd_tf_db),
        logmel_l1_db: of(|file| file.logmel_l1_db),
        logmel_tf_db: of(|file| file.logmel_tf_db),
        sc: of(|file| file.sc),
        si_sdr_db: of(|file| file.si_sdr_db),
        loudness_error_db: of(|file| file.loudness_error_db),
        width_error_db: of(|file| file.width_error_db),
    }
}

fn mean(values: &mut [f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The middle value, or the mean of the middle two.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] + values[high]) / 2.0)
}

impl Evaluation {
    /// What the card of a bundle says of it, measured just now. `folder` is the name of the folder
    /// of recordings; of each, `max_seconds` were measured, if not all.
    #[must_use]
    pub fn for_card(&self, folder: String, max_seconds: Option<f64>) -> EvaluationSummary {
        EvaluationSummary {
            date: date::now(),
            folder,
            files: self.files.len(),
            seconds: self.seconds,
            max_seconds,
            codec: self.codec,
            griffin_lim: self.griffin_lim,
            bitrate: self.bitrate,
            levels: self.levels.clone(),
            encode_factor: Some(self.encode_factor),
            decode_factor: Some(self.decode_factor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::metrics::Comparison;

    /// A recording whose every distance is `distance`.
    fn file(distance: f64, loudness_error_db: f64, width_error_db: Option<f64>) -> FileFigures {
        let comparison = Comparison {
            mrstft: distance,
            lsd_db: distance,
            lsd_tf_db: distance,
            logmel_l1_db: distance,
            logmel_tf_db: distance,
            sc: distance,
            si_sdr_db: distance,
            lag: 0,
            gain: 1.0,
        };
        FileFigures {
            name: String::new(),
            seconds: 1.0,
            codec: comparison,
            loudness_error_db,
            width_error_db,
            griffin_lim: None,
            silence: comparison,
        }
    }

    #[test]
    fn recordings_average_by_mean_and_by_median() {
        let files = [file(1.0, -3.0, None), file(2.0, 2.0, Some(-4.0)), file(6.0, 1.0, None)];
        let Averages { mean, median } = of_codec(&files);
        assert_eq!((mean.mrstft, median.mrstft), (Some(3.0), Some(2.0)));
        assert_eq!((mean.si_sdr_db, median.sc), (Some(3.0), Some(2.0)));
        assert_eq!(of_codec(&files[1..]).median.lsd_tf_db, Some(4.0));
        assert_eq!(of_griffin_lim(&files), None);
        assert_eq!(of_silence(&files).mean.si_sdr_db, None);
    }

    #[test]
    fn errors_of_loudness_and_width_do_not_cancel() {
        let files = [file(1.0, -3.0, None), file(2.0, 2.0, Some(-4.0)), file(6.0, 1.0, None)];
        let Averages { mean, .. } = of_codec(&files);
        assert_eq!((mean.loudness_error_db, mean.width_error_db), (Some(2.0), Some(4.0)));
        assert_eq!(of_codec(&files[..1]).mean.width_error_db, None);
    }
}
