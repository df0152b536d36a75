//! The chart: a bar for what each kind of check costs, on a ground of its own, for
//! light and dark pages.

use std::fmt::Write as _;

use crate::report::Cost;

const WIDTH: f64 = 800.0;
const ROW: f64 = 30.0;
const TOP: f64 = 74.0;
const LEFT: f64 = 292.0;
const RIGHT: f64 = 72.0;

const STYLE: &str = "
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.quiet { fill: #59636e; font-size: 12px }
.ours { font-weight: 600 }
.ground { fill: #ffffff; stroke: #d1d9e0 }
.bar { fill: #b6c2cf }
.bar.ours { fill: #1a7f5a }
.floor { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 4 3 }
.floor-name { fill: #bc4c00; font-size: 12px }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.quiet { fill: #9198a1 }
.ground { fill: #0d1117; stroke: #3d444d }
.bar { fill: #4a5561 }
.bar.ours { fill: #3fb68b }
.floor { stroke: #f0883e }
.floor-name { fill: #f0883e }
}
";

/// The first of the costs is the floor.
pub fn draw(costs: &[Cost], footer: &str) -> String {
    let highest = costs.iter().map(|cost| cost.cpu_us).fold(0.0, f64::max);
    let length = |cost: &Cost| cost.cpu_us / highest * (WIDTH - LEFT - RIGHT);
    #[expect(clippy::cast_precision_loss, reason = "a dozen rows")]
    let bottom = TOP + costs.len() as f64 * ROW;
    let height = bottom + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"CPU time of one check\">\n\
         <style>{STYLE}</style>\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"24\" y=\"34\">CPU time of one check, in µs: less is better</text>\n",
        WIDTH - 1.0,
        height - 1.0,
    );
    let mut middle = TOP + ROW / 2.0;
    for cost in costs {
        let class = if cost.is_ours { " ours" } else { "" };
        let _ = writeln!(
            svg,
            "<text class=\"name{class}\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"18\" rx=\"3\"/>\
             <text class=\"value{class}\" x=\"{:.1}\" y=\"{}\">{:.1}</text>",
            LEFT - 12.0,
            middle + 4.5,
            escaped(&cost.name),
            middle - 9.0,
            length(cost),
            LEFT + length(cost) + 8.0,
            middle + 4.5,
            cost.cpu_us,
        );
        middle += ROW;
    }
    if let Some(floor) = costs.first() {
        let x = LEFT + length(floor);
        let _ = writeln!(
            svg,
            "<line class=\"floor\" x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{}\"/>\
             <text class=\"floor-name\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">no check at all</text>",
            TOP - 6.0,
            bottom,
            TOP - 12.0,
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"quiet\" x=\"24\" y=\"{}\">{}</text>\n</svg>",
        height - 16.0,
        escaped(footer)
    );
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
