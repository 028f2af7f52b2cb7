//! Pictures of the findings: SVG, by hand, on white so that they can be read on any page.

use std::fmt::Write;

use crate::campaign::{Attack, Figure, Findings};
use crate::stats::Interval;
use crate::systems::Expectation;

use super::attack_name;

/// Pixels.
const WIDTH: f64 = 860.0;
const LABELS: f64 = 430.0;
const ROW: f64 = 22.0;
const TOP: f64 = 56.0;

const COLOURS: [&str; 6] = ["#0b6e4f", "#b3541e", "#1f4e8c", "#7a2e7a", "#8c7b1f", "#555555"];

/// Each picture that shows something, with the name of its file.
pub fn pictures(all: &[(Expectation, Findings)]) -> Vec<(&'static str, String)> {
    let pairs = rows(all, |attack, figure| match (attack, figure) {
        (Attack::Pairs(_), Figure::Auc(interval, _)) => Some(*interval),
        _ => None,
    });
    let volumes = rows(all, |_, figure| match figure {
        Figure::Correlation(interval, _) => Some(*interval),
        _ => None,
    });
    let drawn = vec![
        ("pairs.svg", dots("Who talks to whom: AUC, 0.5 is guessing", &pairs, (0.4, 1.0))),
        (
            "volume.svg",
            dots("How much somebody writes: correlation, 0 is guessing", &volumes, (-0.2, 1.0)),
        ),
        ("bits.svg", bits(all)),
    ];
    drawn
        .into_iter()
        .filter(|(_, picture)| picture.contains("<rect x=") || picture.contains("<circle"))
        .collect()
}

/// A label, a colour, and a figure.
type Row = (String, &'static str, Interval);

fn rows(
    all: &[(Expectation, Findings)],
    pick: impl Fn(Attack, &Figure) -> Option<Interval>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (nth, (_, findings)) in all.iter().enumerate() {
        for line in &findings.lines {
            if let Some(interval) = pick(line.attack, &line.figure) {
                let window = match line.attack {
                    Attack::Pairs(hours) => format!("{hours} h"),
                    other => attack_name(other),
                };
                let label = format!(
                    "{}, {}: {}, {window}",
                    findings.system, findings.clients, line.adversary
                );
                rows.push((label, COLOURS[nth % COLOURS.len()], interval));
            }
        }
    }
    rows
}

fn frame(title: &str, rows: usize, (low, high): (f64, f64), body: &str) -> String {
    let height = TOP + ROW * rows as f64 + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"{title}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" fill=\"#111\">{title}</text>\n"
    );
    for step in 0..=4 {
        let value = low + (high - low) * f64::from(step) / 4.0;
        let x = place(value, (low, high));
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{}\" \
             text-anchor=\"middle\" fill=\"#555\">{value:.2}</text>",
            TOP - 6.0,
            height - 14.0,
            TOP - 12.0,
        );
    }
    svg.push_str(body);
    svg.push_str("</svg>\n");
    svg
}

fn place(value: f64, (low, high): (f64, f64)) -> f64 {
    LABELS + (WIDTH - LABELS - 30.0) * ((value - low) / (high - low)).clamp(0.0, 1.0)
}

fn label(body: &mut String, nth: usize, text: &str) -> f64 {
    let y = TOP + ROW * (nth as f64 + 0.5);
    let _ = writeln!(body, "<text x=\"12\" y=\"{:.1}\" fill=\"#111\">{text}</text>", y + 4.0);
    y
}

/// A dot for each figure, with its interval.
fn dots(title: &str, rows: &[Row], range: (f64, f64)) -> String {
    let mut body = String::new();
    for (nth, (text, colour, interval)) in rows.iter().enumerate() {
        let y = label(&mut body, nth, text);
        let [low, value, high] =
            [interval.low, interval.value, interval.high].map(|v| place(v, range));
        let _ = writeln!(
            body,
            "<line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <circle cx=\"{value:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"
        );
    }
    frame(title, rows.len(), range, &body)
}

/// A bar for each entropy, as a share of what there could be.
fn bits(all: &[(Expectation, Findings)]) -> String {
    let mut body = String::new();
    let mut nth = 0;
    for (system, (_, findings)) in all.iter().enumerate() {
        for line in &findings.lines {
            let Figure::Bits(unsure) = &line.figure else { continue };
            let most = f64::from(findings.clients - 1).log2();
            for (what, bits) in [("sender", unsure.sender), ("receiver", unsure.receiver)] {
                let text = format!(
                    "{}, {}: {what}, {bits:.2} of {most:.2} bits",
                    findings.system, findings.clients
                );
                let y = label(&mut body, nth, &text);
                let (from, to) = (place(0.0, (0.0, 1.0)), place(bits / most, (0.0, 1.0)));
                let _ = writeln!(
                    body,
                    "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" fill=\"{}\"/>",
                    y - 6.0,
                    (to - from).max(1.0),
                    COLOURS[system % COLOURS.len()],
                );
                nth += 1;
            }
        }
    }
    frame(
        "Who else it could be, for the observer of every link: share of all bits",
        nth,
        (0.0, 1.0),
        &body,
    )
}
