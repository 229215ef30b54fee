//! Who may call. Every website that the person opens can send requests to 127.0.0.1, and so can every local program:
//! the host, the origin and the browser's own account of where a request comes from are checked on every request, and
//! everything below `/api/` needs a session or the secret.

use super::answer::ApiError;
use super::{App, Sessions};
use crate::profile::ProfileName;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

/// Nothing but what the program itself holds is loaded, run or framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

const SEC_FETCH_SITE: &str = "sec-fetch-site";
const SEC_FETCH_MODE: &str = "sec-fetch-mode";

/// What requests are checked against.
pub struct Guard {
    host: String,
    origin: String,
    secret: String,
    cookie: String,
    sessions: Sessions,
}

impl Guard {
    /// For one start of the client: the port and the secret are its own, the sessions outlive it.
    pub fn new(port: u16, secret: String, profile: &ProfileName, sessions: Sessions) -> Self {
        let host = format!("127.0.0.1:{port}");
        // Browsers don't keep the cookies of two ports apart, so the profile's name does.
        let cookie = format!("aside_session_{profile}");
        Self { origin: format!("http://{host}"), host, secret, cookie, sessions }
    }

    /// The name of the session cookie.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// The browsers' sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whether this is the secret of this start.
    pub fn is_secret(&self, text: &str) -> bool {
        bool::from(text.as_bytes().ct_eq(self.secret.as_bytes()))
    }

    /// Whether the request carries a session.
    pub fn has_session(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .any(|(name, token)| name == self.cookie && self.sessions.knows(token))
    }

    fn has_bearer(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        bearer.is_some_and(|secret| self.is_secret(secret))
    }

    /// Lets a request in, or says why not.
    ///
    /// # Errors
    /// 403 for a request that a website or a rebound name could have made, 401 without a session or the secret.
    pub fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let refused = |message: &'static str| Err(ApiError::new(StatusCode::FORBIDDEN, "foreign_request", message));
        let only = |name: HeaderName, wanted: &str| {
            let mut values = headers.get_all(name).iter();
            values.next().is_some_and(|value| value == wanted) && values.next().is_none()
        };
        if !only(HOST, &self.host) || uri.authority().is_some_and(|authority| authority.as_str() != self.host) {
            return refused("This address belongs to Aside on this machine and is reached as 127.0.0.1 only.");
        }
        if headers.contains_key(ORIGIN) && !only(ORIGIN, &self.origin) {
            return refused("Another website asked for this, and Aside answers its own page only.");
        }
        let is_api = uri.path() == "/api" || uri.path().starts_with("/api/");
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let is_own = matches!(text(SEC_FETCH_SITE), None | Some("same-origin" | "none"));
        // A link on a website may lead to Aside's page; it may do nothing else.
        let is_visit = !is_api && method == Method::GET && text(SEC_FETCH_MODE) == Some("navigate");
        if !is_own && !is_visit {
            return refused("Another website asked for this, and Aside answers its own page only.");
        }
        if is_api && !self.has_bearer(headers) && !self.has_session(headers) {
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "not_signed_in",
                "This browser is not signed in: open the address that `aside app` prints.",
            ));
        }
        Ok(())
    }
}

/// The guard before every route, and the headers on every answer.
pub async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let admitted = app.guard.admit(request.method(), request.uri(), request.headers());
    let mut response = match admitted {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), same_origin.clone());
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 4000;

    fn guard() -> (tempfile::TempDir, Guard) {
        let directory = tempfile::tempdir().unwrap();
        let sessions = Sessions::open(directory.path().join("sessions.json")).unwrap();
        (directory, Guard::new(PORT, "secret".into(), &"alice".parse().unwrap(), sessions))
    }

    fn ask(guard: &Guard, method: Method, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        map.insert(HOST, HeaderValue::from_static("127.0.0.1:4000"));
        for (name, value) in headers {
            map.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        match guard.admit(&method, &path.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(error) => error.into_response().status().as_u16(),
        }
    }

    const BEARER: (&str, &str) = ("authorization", "Bearer secret");

    #[test]
    fn a_foreign_host_is_refused_even_with_the_secret() {
        let (_home, guard) = guard();
        assert_eq!(ask(&guard, Method::GET, "/api/state", &[BEARER]), 200);
        for host in ["evil.example", "evil.example:4000", "localhost:4000", "127.0.0.1", "127.0.0.1:4001"] {
            assert_eq!(ask(&guard, Method::GET, "/api/state", &[BEARER, ("host", host)]), 403, "{host}");
            assert_eq!(ask(&guard, Method::GET, "/", &[("host", host)]), 403, "{host}");
        }
    }

    #[test]
    fn a_foreign_origin_is_refused_even_with_the_secret() {
        let (_home, guard) = guard();
        let own = ("origin", "http://127.0.0.1:4000");
        assert_eq!(ask(&guard, Method::POST, "/api/quit", &[BEARER, own]), 200);
        for origin in ["http://evil.example", "https://127.0.0.1:4000", "http://127.0.0.1:4001", "null"] {
            assert_eq!(ask(&guard, Method::POST, "/api/quit", &[BEARER, ("origin", origin)]), 403, "{origin}");
        }
    }

    #[test]
    fn without_session_or_secret_nothing_below_api_answers() {
        let (_home, guard) = guard();
        for path in ["/api/state", "/api/unknown", "/api"] {
            assert_eq!(ask(&guard, Method::GET, path, &[]), 401);
            assert_eq!(ask(&guard, Method::GET, path, &[("authorization", "Bearer wrong")]), 401);
            assert_eq!(ask(&guard, Method::GET, path, &[("cookie", "aside_session_alice=wrong")]), 401);
        }
        assert_eq!(ask(&guard, Method::GET, "/", &[]), 200);
    }

    #[test]
    fn a_session_opens_its_own_profile_only() {
        let (_home, guard) = guard();
        let token = guard.sessions().begin(crate::runtime::now().day()).unwrap();
        assert_eq!(ask(&guard, Method::GET, "/api/state", &[("cookie", &format!("aside_session_alice={token}"))]), 200);
        assert_eq!(
            ask(&guard, Method::GET, "/api/state", &[("cookie", &format!("a=b; aside_session_alice={token}"))]),
            200
        );
        assert_eq!(ask(&guard, Method::GET, "/api/state", &[("cookie", &format!("aside_session_bob={token}"))]), 401);
    }

    #[test]
    fn a_fetch_from_another_site_is_refused() {
        let (_home, guard) = guard();
        for site in ["cross-site", "same-site"] {
            let site = ("sec-fetch-site", site);
            assert_eq!(ask(&guard, Method::GET, "/api/state", &[BEARER, site]), 403);
            assert_eq!(ask(&guard, Method::GET, "/api/state", &[BEARER, site, ("sec-fetch-mode", "navigate")]), 403);
            assert_eq!(ask(&guard, Method::GET, "/assets/a.js", &[site, ("sec-fetch-mode", "no-cors")]), 403);
            assert_eq!(ask(&guard, Method::GET, "/", &[site, ("sec-fetch-mode", "navigate")]), 200);
            assert_eq!(ask(&guard, Method::POST, "/", &[site, ("sec-fetch-mode", "navigate")]), 403);
        }
        assert_eq!(ask(&guard, Method::GET, "/api/state", &[BEARER, ("sec-fetch-site", "same-origin")]), 200);
    }
}
