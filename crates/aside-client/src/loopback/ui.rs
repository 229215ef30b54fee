//! The UI's files, built into the program. The page is one, and its places stand behind the `#`, so every path is a
//! file or nothing.

use super::answer::ApiError;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Files;

/// Gives a file of the UI; 404 for everything else.
pub async fn file(method: Method, uri: Uri) -> Result<Response, ApiError> {
    let path = match uri.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let found = Files::get(path).filter(|_| method == Method::GET || method == Method::HEAD);
    let Some(file) = found else {
        return Err(ApiError::unknown("unknown_path", "There is nothing at this address."));
    };
    // The names of assets are made from their content.
    let caching = match path.starts_with("assets/") {
        true => "private, max-age=31536000, immutable",
        false => "no-cache",
    };
    let headers = [(CONTENT_TYPE, content_type(path)), (CACHE_CONTROL, caching)];
    Ok((StatusCode::OK, headers, file.data).into_response())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("wasm") => "application/wasm",
        Some("mp3") => "audio/mpeg",
        Some("ogg") => "audio/ogg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_is_inside_the_program_and_nothing_else_is_found() {
        let page = file(Method::GET, "/".parse().unwrap()).await.unwrap();
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        for path in ["/nothing", "/../Cargo.toml", "/assets/"] {
            assert!(file(Method::GET, path.parse().unwrap()).await.is_err(), "{path}");
        }
    }
}
