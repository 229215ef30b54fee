//! QR codes as SVG, black on white in both themes: phones read nothing else reliably.

use super::answer::{ApiError, unexpected};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

/// A complete `<svg>` element, with its quiet zone.
///
/// # Errors
/// 500 for a text that no code holds; links and safety numbers fit.
pub fn svg(text: &str) -> Result<String, ApiError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| unexpected())?;
    let drawn = code
        .render::<svg::Color<'_>>()
        .dark_color(svg::Color("#000000"))
        .light_color(svg::Color("#ffffff"))
        .quiet_zone(true)
        .min_dimensions(256, 256)
        .build();
    let start = drawn.find("<svg").ok_or_else(unexpected)?;
    drawn.get(start..).map(str::to_owned).ok_or_else(unexpected)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_code_is_one_svg_element() {
        let drawn = super::svg(&"x".repeat(300)).unwrap();
        assert!(drawn.starts_with("<svg") && drawn.trim_end().ends_with("</svg>"));
    }
}
