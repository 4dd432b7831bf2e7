//! Draws the measured growth: both axes logarithmic, so that what grows by a power is a straight line that climbs, and
//! what does not grow lies flat.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::say;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance");
const WIDTH: f64 = 790.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 50.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 130.0;
/// Colours that can be told apart in light and dark, and by most who see few colours.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9"];

/// Reads `growth.csv` and writes `growth.svg`.
pub(crate) fn draw() {
    let read = std::fs::read_to_string(format!("{FOLDER}/growth.csv")).unwrap();
    let mut lines: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in read.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let [what, count, each] = fields.as_slice() else {
            panic!("{row}");
        };
        let point = (count.parse::<f64>().unwrap().log10(), each.parse::<f64>().unwrap().max(1.0).log10());
        lines.entry(what).or_default().push(point);
    }
    std::fs::write(format!("{FOLDER}/growth.svg"), svg(&lines)).unwrap();
    say(&format!("drawn to {FOLDER}/growth.svg"));
}

fn svg(lines: &BTreeMap<&str, Vec<(f64, f64)>>) -> String {
    let points = || lines.values().flatten();
    let last_x = points().map(|(x, _)| x.ceil()).fold(1.0, f64::max);
    let last_y = points().map(|(_, y)| y.ceil()).fold(1.0, f64::max);
    let x = |value: f64| LEFT + value / last_x * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / last_y * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Cost of one act as the number of things grows\">\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#222}}.grid{{stroke:#ccc}}rect{{fill:#fff}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ddd}}.grid{{stroke:#444}}rect{{fill:#111}}}}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    let mut add = |line: String| writeln!(svg, "{line}").unwrap();
    let whole = |last: f64| (0..).map(f64::from).take_while(move |value| *value <= last);
    for value in whole(last_y) {
        let (at, label) = (y(value), duration(value));
        add(format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            WIDTH - RIGHT
        ));
        add(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0, at + 4.0));
    }
    for value in whole(last_x) {
        let label = 10_f64.powf(value);
        add(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label:.0}</text>",
            x(value),
            HEIGHT - BOTTOM + 18.0
        ));
    }
    for (number, (what, points)) in lines.iter().enumerate() {
        let colour = COLOURS.iter().cycle().nth(number).unwrap();
        let path: Vec<String> =
            points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
        add(format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        ));
        for (px, py) in points {
            add(format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(*px), y(*py)));
        }
        let (column, row) = ((number % 2) as f64, (number / 2) as f64);
        let (at, below) = (LEFT + column * 330.0, HEIGHT - BOTTOM + 48.0 + row * 22.0);
        add(format!(
            "<line x1=\"{at}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"3\"/>",
            at + 22.0,
            below - 4.0,
            below - 4.0
        ));
        add(format!("<text x=\"{}\" y=\"{below}\">{what}</text>", at + 30.0));
    }
    svg + "</svg>\n"
}

/// A power of ten of nanoseconds, as people say it.
fn duration(power: f64) -> String {
    let nanoseconds = 10_f64.powf(power);
    match nanoseconds {
        below if below < 1e3 => format!("{below:.0} ns"),
        below if below < 1e6 => format!("{:.0} µs", below / 1e3),
        below if below < 1e9 => format!("{:.0} ms", below / 1e6),
        above => format!("{:.0} s", above / 1e9),
    }
}
