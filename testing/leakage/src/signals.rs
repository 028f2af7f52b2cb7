//! What an adversary keeps of an hour: for each client that is looked at, how many frames went each way in each
//! small stretch of time, and what else it has made of what it saw.

use crate::record::{HOUR, Micros, SECOND};
use crate::traffic::Span;

/// Bins of a quarter of a second, of an hour.
pub const FINE: usize = 14_400;
/// Bins of a second.
pub const SECONDS: usize = 3_600;

/// Frames below this length are counted apart: acknowledgements, keep-alives.
pub const SMALL: u16 = 512;

/// Frames of one client in one hour.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Out large, out small, in large, in small; one number a fine bin.
    bins: [Vec<u8>; 4],
    /// When each frame left the client, in seconds of the hour, sorted; kept only for those who ask for it.
    pub times: Vec<f64>,
}

impl Default for Counts {
    fn default() -> Self {
        Self { bins: [(); 4].map(|()| vec![0; FINE]), times: Vec::new() }
    }
}

impl Counts {
    /// Counts a frame at a time within the hour.
    pub fn add(&mut self, within: Micros, out: bool, bytes: u16) {
        let channel = usize::from(!out) * 2 + usize::from(bytes < SMALL);
        let bin = (within / (HOUR / FINE as u64)) as usize;
        if let Some(count) = self.bins[channel].get_mut(bin) {
            *count = count.saturating_add(1);
        }
    }

    /// How many frames there were.
    pub fn total(&self) -> u64 {
        self.bins.iter().flatten().map(|&count| u64::from(count)).sum()
    }

    fn fine(&self, channels: &[(usize, f32)]) -> Vec<f32> {
        let sum = |bin: usize| {
            channels.iter().map(|&(c, sign)| sign * f32::from(self.bins[c][bin])).sum()
        };
        (0..FINE).map(sum).collect()
    }

    /// All frames out, in fine bins.
    pub fn out(&self) -> Vec<f32> {
        self.fine(&[(0, 1.0), (1, 1.0)])
    }
}

/// One quantity of one client over an hour, at every scale, with its mean taken off and nothing while it is offline.
#[derive(Debug, Clone, Default)]
pub struct Curve {
    /// In bins of 0.25 s; only for what is compared so finely.
    pub fine: Vec<f32>,
    /// In bins of 1, 5, 30 and 300 s.
    pub coarse: [Vec<f32>; 4],
    /// The sum, mean included.
    pub total: f64,
    /// Variance over mean magnitude in bins of 1, 5, 30 and 300 s.
    pub dispersion: [f64; 4],
    /// The largest bin of 300 s, above the mean.
    pub peak: f64,
}

/// Seconds of a coarse bin.
pub const SCALES: [usize; 4] = [1, 5, 30, 300];

/// Which seconds of an hour a client is online.
pub fn mask(spans: &[Span], hour: u32) -> Vec<bool> {
    let start = u64::from(hour) * HOUR;
    let second = |s: usize| {
        let at = start + s as u64 * SECOND;
        spans.iter().any(|span| span.from <= at && at + SECOND <= span.until)
    };
    (0..SECONDS).map(second).collect()
}

impl Curve {
    /// From fine bins.
    pub fn from_fine(fine: Vec<f32>, online: &[bool], keep_fine: bool) -> Self {
        let seconds: Vec<f32> = fine.chunks(FINE / SECONDS).map(|four| four.iter().sum()).collect();
        let mut curve = Self::from_seconds(seconds, online);
        if keep_fine {
            curve.fine = centred(fine, |bin| online[bin / (FINE / SECONDS)]);
        }
        curve
    }

    /// From bins of a second.
    pub fn from_seconds(seconds: Vec<f32>, online: &[bool]) -> Self {
        let total = seconds.iter().map(|&x| f64::from(x)).sum();
        let scaled = |size: usize| -> Vec<f32> {
            seconds.chunks(size).map(|bins| bins.iter().sum()).collect()
        };
        let coarse = SCALES.map(|size| {
            // A bin counts if the client is online all through it.
            let here: Vec<bool> =
                online.chunks(size).map(|bins| bins.iter().all(|&on| on)).collect();
            centred(scaled(size), |bin| here[bin])
        });
        let magnitude = seconds.iter().map(|&x| f64::from(x.abs())).sum::<f64>().max(1.0);
        let spread =
            |bins: &Vec<f32>| bins.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / magnitude;
        let dispersion = [0, 1, 2, 3].map(|scale| spread(&coarse[scale]));
        let peak = coarse[3].iter().fold(0.0f64, |peak, &x| peak.max(f64::from(x)));
        Self { fine: Vec::new(), coarse, total, dispersion, peak }
    }
}

/// Takes the mean of the bins that count off them, and makes the others zero.
fn centred(mut bins: Vec<f32>, counts: impl Fn(usize) -> bool) -> Vec<f32> {
    let (mut sum, mut n) = (0.0f64, 0.0f64);
    for (bin, &x) in bins.iter().enumerate() {
        if counts(bin) {
            sum += f64::from(x);
            n += 1.0;
        }
    }
    let mean = if n > 0.0 { (sum / n) as f32 } else { 0.0 };
    for (bin, x) in bins.iter_mut().enumerate() {
        *x = if counts(bin) { *x - mean } else { 0.0 };
    }
    bins
}

/// What is known of one client in one hour.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Frames from it and to it; the first with fine bins.
    pub out: Curve,
    /// Frames to it.
    pub into: Curve,
    /// Large frames only, and small ones only, each way.
    pub out_large: Curve,
    /// See above.
    pub into_large: Curve,
    /// See above.
    pub into_small: Curve,
    /// Large frames out less those in: what a client sends and does not get back.
    pub net: Curve,
    /// What an adversary takes for signs that the client wrote; absent if it has none.
    pub wrote: Option<Curve>,
    /// What it takes for signs that something came for the client.
    pub got: Option<Curve>,
}

impl Signals {
    /// From the frames of an hour.
    pub fn new(counts: &Counts, online: &[bool]) -> Self {
        let curve =
            |channels: &[(usize, f32)], fine| Curve::from_fine(counts.fine(channels), online, fine);
        Self {
            out: curve(&[(0, 1.0), (1, 1.0)], true),
            into: curve(&[(2, 1.0), (3, 1.0)], true),
            out_large: curve(&[(0, 1.0)], false),
            into_large: curve(&[(2, 1.0)], true),
            into_small: curve(&[(3, 1.0)], false),
            net: curve(&[(0, 1.0), (2, -1.0)], false),
            wrote: None,
            got: None,
        }
    }
}

/// Sum of products of two curves, the second one `lag` bins later (earlier, if negative).
pub fn product(x: &[f32], y: &[f32], lag: isize) -> f64 {
    let (x, y) = if lag >= 0 {
        (&x[..x.len().saturating_sub(lag as usize)], y.get(lag as usize..).unwrap_or(&[]))
    } else {
        (
            x.get(lag.unsigned_abs()..).unwrap_or(&[]),
            &y[..y.len().saturating_sub(lag.unsigned_abs())],
        )
    };
    // In eight sums, so that the compiler may keep them side by side.
    let mut sums = [0.0f32; 8];
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in xs.zip(ys) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    f64::from(sums.iter().sum::<f32>() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_moves_the_second_curve() {
        let x = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let y = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(product(&x, &y, 2), 2.0);
        assert_eq!(product(&y, &x, -2), 2.0);
        assert_eq!(product(&x, &y, 0), 0.0);
        assert_eq!(product(&x, &y, 100), 0.0);
    }

    #[test]
    fn what_is_offline_counts_for_nothing() {
        let spans = [Span { from: 0, until: 1_800 * SECOND }];
        let online = mask(&spans, 0);
        assert_eq!(online.iter().filter(|&&on| on).count(), 1_800);
        let mut counts = Counts::default();
        for second in 0..1_800 {
            counts.add(second * SECOND, true, 1_000);
        }
        let signals = Signals::new(&counts, &online);
        // A steady stream has no shape, and the edge of the time online is none either.
        assert!(signals.out.coarse.iter().flatten().all(|&x| x.abs() < 1e-3));
        assert_eq!(signals.out.total, 1_800.0);
    }
}
