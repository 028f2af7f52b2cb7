//! The Kolmogorov–Smirnov distance of two samples.

/// The largest difference of their empirical distribution functions, 0 to 1.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert!(!a.is_empty() && !b.is_empty(), "nothing to compare");
    let sorted = |sample: &[f64]| {
        let mut sample = sample.to_vec();
        sample.sort_by(f64::total_cmp);
        sample
    };
    let (a, b) = (sorted(a), sorted(b));
    let below = |sample: &[f64], x: f64| {
        sample.partition_point(|value| *value <= x) as f64 / sample.len() as f64
    };
    a.iter().chain(&b).map(|x| (below(&a, *x) - below(&b, *x)).abs()).fold(0.0, f64::max)
}

#[test]
fn it_is_what_the_textbook_says() {
    let to_ten: Vec<f64> = (1..=10).map(f64::from).collect();
    assert!(distance(&to_ten, &to_ten) < 1e-12);
    assert!(
        (distance(&to_ten, &to_ten.iter().map(|x| x + 100.0).collect::<Vec<_>>()) - 1.0).abs()
            < 1e-12
    );
    // Half of one lies above all of the other.
    let upper: Vec<f64> = (6..=15).map(f64::from).collect();
    assert!((distance(&to_ten, &upper) - 0.5).abs() < 1e-12);
    assert!((distance(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0, 2.0]) - (2.0 / 3.0 - 0.25)).abs() < 1e-12);
}
