//! What a request asks for, read in the one way in which every server behind a proxy
//! reads it. What two of them could read differently is no target.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use smol_str::{SmolStr, StrExt as _};
use unicode_normalization::UnicodeNormalization as _;

use super::text::is_deceptive;

/// Which part of a request can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    #[error("the method is not of capital letters")]
    Method,
    #[error("the host is none, or not written as browsers write it")]
    Host,
    #[error("the path is not written as browsers write it, or servers differ in what it means")]
    Path,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub method: Method,
    pub host: Host,
    pub path: Path,
}

impl Target {
    /// `uri` is the request's path with its query, as it stands on the wire, which
    /// no part of the decision depends on.
    ///
    /// # Errors
    /// Says which part could be read in more than one way.
    pub fn parse(method: &str, authority: &str, uri: &str) -> Result<Self, Unclear> {
        let path = uri.split('?').next().unwrap_or_default();
        Ok(Self {
            method: Method::parse(method)?,
            host: Host::parse(authority)?,
            path: Path::parse(path)?,
        })
    }
}

/// A method (RFC 9110, 9.1). Its case matters, but not to all servers: so it is one
/// of capital letters and hyphens, as all registered ones are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(SmolStr);

impl Method {
    /// # Errors
    /// If it is written otherwise.
    pub fn parse(text: &str) -> Result<Self, Unclear> {
        let is_right = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        if text.is_empty() || !text.bytes().all(is_right) {
            return Err(Unclear::Method);
        }
        Ok(Self(text.into()))
    }

    /// Whether it is that of an address in a browser, or asks only for its head.
    #[must_use]
    pub fn is_get_or_head(&self) -> bool {
        matches!(self.0.as_str(), "GET" | "HEAD")
    }

    /// Whatever answers GET answers HEAD (RFC 9110, 9.1).
    #[must_use]
    pub fn answers(&self, asked: &Self) -> bool {
        self == asked || self.0 == "GET" && asked.0 == "HEAD"
    }
}

/// A host, without its port: in lower case, as a WHATWG URL parser writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(SmolStr);

impl Host {
    /// Of an authority (RFC 3986, 3.2). The case of the name makes no difference, and
    /// neither does the dot of the root at its end.
    ///
    /// # Errors
    /// If there is a user in it, or if a URL parser would write it otherwise.
    pub fn parse(authority: &str) -> Result<Self, Unclear> {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                let is_port =
                    port.len() <= 5 && port.bytes().all(is_digit) && port.parse::<u16>().is_ok();
                is_port.then_some(name).ok_or(Unclear::Host)?
            }
            _ => authority,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = name.to_ascii_lowercase_smolstr();
        if is_plain(&name) || is_clear(&name) {
            Ok(Self(name))
        } else {
            Err(Unclear::Host)
        }
    }

    /// Whether it is a host of that domain, but not the domain itself.
    #[must_use]
    pub fn is_below(&self, domain: &Self) -> bool {
        self.0
            .strip_suffix(domain.0.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
    }
}

/// Whether it is a name in which a URL parser has nothing to look for: no address, which
/// ends in a number, and nothing of another alphabet (RFC 3492). Most are.
fn is_plain(name: &str) -> bool {
    let (domain, top) = name.rsplit_once('.').unwrap_or(("", name));
    let is_own = |label: &str| is_label(label) && !label.starts_with("xn--");
    top.starts_with(|c: char| c.is_ascii_lowercase())
        && is_own(top)
        && (domain.is_empty() && top.len() == name.len() || domain.split('.').all(is_own))
}

fn is_clear(name: &str) -> bool {
    let Ok(parsed) = url::Host::parse(name) else {
        return false;
    };
    let is_of_labels = match parsed {
        url::Host::Domain(_) => name.split('.').all(is_label),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => true,
    };
    parsed.to_string() == name && is_of_labels
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(is_of_names)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Letters, digits and hyphens (RFC 952), and the underscore, which is in use.
fn is_of_names(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
}

/// A path, with its percent-encoding (RFC 3986, 2.1) undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    decoded: SmolStr,
    /// What servers that care less about spelling take it for, if that is another.
    folded: Option<String>,
}

impl Path {
    /// Of a path as it stands on the wire.
    ///
    /// # Errors
    /// If it does not begin with a slash, or if there is in it:
    /// a character that browsers encode, or one that is encoded wrongly or twice; a
    /// segment that is empty, or of dots and spaces alone (Windows takes `.. ` for `..`),
    /// also where some server would cut it; a control character, one that nobody sees, a
    /// backslash, a semicolon or an encoded slash, also as the compatibility form of
    /// another character (Unicode, UAX 15); what is not UTF-8.
    pub fn parse(raw: &str) -> Result<Self, Unclear> {
        if is_plain_path(raw) {
            return Ok(Self {
                decoded: raw.into(),
                folded: None,
            });
        }
        Self::parse_any(raw)
    }

    fn parse_any(raw: &str) -> Result<Self, Unclear> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !raw.bytes().all(is_plain) || !after_percent(raw).all(is_encoded) {
            return Err(Unclear::Path);
        }
        let decoded = percent_decode_str(raw).decode_utf8();
        let decoded = decoded.map_err(|_| Unclear::Path)?;
        let composed = (!decoded.is_ascii()).then(|| decoded.nfkc().collect::<String>());
        let plain = composed.as_deref().unwrap_or(&decoded);
        let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
        let is_odd = |c: char| is_unseen(c) || matches!(c, '\\' | ';');
        let is_ambiguous = after_percent(&decoded).any(is_encoded)
            || decoded.contains(is_odd)
            || composed.as_ref().is_some_and(|it| it.contains(is_odd))
            || slashes(raw) != slashes(plain);
        let segments = plain.strip_prefix('/').ok_or(Unclear::Path)?;
        let folder = segments.strip_suffix('/').unwrap_or(segments);
        let is_dots = |segment: &str| shortened(segment).is_empty();
        let is_wrong = !segments.is_empty() && folder.split('/').any(is_dots);
        if is_ambiguous || is_wrong {
            return Err(Unclear::Path);
        }
        Ok(Self {
            folded: Some(folded(plain))
                .filter(|folded| *folded != decoded)
                .map(Cow::into_owned),
            decoded: decoded.into(),
        })
    }

    /// Whether it is that folder, with or without a slash at its end, or within it.
    ///
    /// # Errors
    /// If it is so only for servers that care less about spelling.
    pub fn is_within(&self, folder: &Self) -> Result<bool, Unclear> {
        let is_so = is_within(&self.decoded, &folder.decoded);
        if !is_so && is_within(self.folded(), folder.folded()) {
            return Err(Unclear::Path);
        }
        Ok(is_so)
    }

    fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.decoded)
    }
}

/// Whether nothing in it is encoded, folded or cut. Most are so.
fn is_plain_path(raw: &str) -> bool {
    let is_without_empty_segments = !raw.as_bytes().windows(2).any(|two| two == b"//");
    raw.starts_with('/') && raw.bytes().all(is_never_folded) && is_without_empty_segments
}

/// Of what no server ignores anything.
fn is_never_folded(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'/' | b'-' | b'_')
}

fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What follows each percent sign.
fn after_percent(text: &str) -> impl Iterator<Item = &str> {
    text.split('%').skip(1)
}

fn is_encoded(after_percent: &str) -> bool {
    let digits = after_percent.as_bytes().get(..2);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// What nobody sees, and file systems may ignore.
fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let joins_or_varies = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
    is_deceptive(c) || joins_or_varies
}

/// Without what some servers ignore: case, of the Turkish i as well, and the end of a
/// segment. Of what follows an encoded question mark or number sign, all.
fn folded(path: &str) -> Cow<'_, str> {
    if path.bytes().all(is_never_folded) {
        return path.into();
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let lower = path.replace(['\u{130}', '\u{131}'], "i").to_lowercase();
    let segments: Vec<_> = lower.split('/').map(shortened).collect();
    segments.join("/").into()
}

/// A segment up to where some server would cut it: without the dots and spaces at its
/// end, and what follows a colon (Windows' streams), a question mark or a number sign.
fn shortened(segment: &str) -> &str {
    let cut = segment.split([':', '?', '#']).next().unwrap_or_default();
    cut.trim_end_matches(['.', ' '])
}

/// For logs: without the path, in which apps have secrets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, host, .. } = self;
        write!(f, "{} {}", method.0, host.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(raw: &str) -> Option<String> {
        Path::parse(raw).ok().map(|path| path.decoded.into())
    }

    #[test]
    fn a_path_is_read_without_its_encoding() {
        for (raw, path) in [
            ("/", "/"),
            ("/admin", "/admin"),
            ("/admin/", "/admin/"),
            ("/%61dmin/%C3%A9", "/admin/é"),
            ("/%c3%a9", "/é"),
            ("/a%20b", "/a b"),
            ("/100%25", "/100%"),
            ("/what%3f", "/what?"),
            ("/a../..b/...c", "/a../..b/...c"),
            ("/.well-known/x.y", "/.well-known/x.y"),
            ("/a=b&c,d:@!$'()*+~[|]", "/a=b&c,d:@!$'()*+~[|]"),
        ] {
            assert_eq!(decoded(raw).as_deref(), Some(path), "{raw:?}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_no_path() {
        for raw in [
            "",
            "admin",
            "*",
            "https://app.example.com/admin",
            "//",
            "//admin",
            "/public//admin",
            "/admin//",
            "/.",
            "/..",
            "/...",
            "/public/..%20/admin",
            "/public/..%C2%A0/admin",
            "/public/..%3f/admin",
            "/public/..%23/admin",
            "/public/..:x/admin",
            "/public/%E2%80%A5/admin",
            "/public/%EF%BC%8E%EF%BC%8E/admin",
            "/public/x%EF%BC%8F..%EF%BC%8Fadmin",
            "/x%EF%BC%BCadmin",
            "/admin%EF%BC%9Bx",
            "/admin%E2%80%8B/",
            "/admin%E2%80%8D/",
            "/ad%C2%ADmin/",
            "/%EF%BB%BFadmin/",
            "/public/%20/admin",
            "/./admin",
            "/public/../admin",
            "/public/..",
            "/public/%2e%2e/admin",
            "/public/.%2E/admin",
            "/public/%2e/admin",
            "/admin%2f",
            "/public%2F..%2Fadmin",
            "/public/..%2fadmin",
            "\\admin",
            "/public\\..\\admin",
            "/public%5cadmin",
            "/admin;x/",
            "/admin;/",
            "/public/..;/admin",
            "/admin%3Bx",
            "/admin%00",
            "/admin%0d%0aX: y",
            "/admin%7f",
            "/admin%C2%85",
            "/admin#x",
            "/admin x",
            "/admin\t",
            "/é",
            "/%ff",
            "/%c0%af",
            "/%C0%AE%C0%AE/admin",
            "/%ed%a0%80",
            "/%",
            "/%6",
            "/%6g",
            "/%u0061dmin",
            "/%2561dmin",
            "/public/%252e%252e/admin",
            "/%25252e",
            "/%25%36%31dmin",
        ] {
            assert_eq!(Path::parse(raw), Err(Unclear::Path), "{raw:?}");
        }
    }

    #[test]
    fn a_host_is_the_one_that_browsers_go_to() {
        for (authority, host) in [
            ("app.example.com", "app.example.com"),
            ("App.EXAMPLE.com", "app.example.com"),
            ("app.example.com.", "app.example.com"),
            ("app.example.com:8443", "app.example.com"),
            ("app.example.com.:443", "app.example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("my_app.internal", "my_app.internal"),
            ("localhost", "localhost"),
            ("127.0.0.1:3000", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:DB8::1]:8080", "[2001:db8::1]"),
        ] {
            let parsed = Host::parse(authority);
            assert_eq!(parsed, Ok(Host(host.into())), "{authority:?}");
        }
    }

    #[test]
    fn what_is_written_otherwise_is_no_host() {
        for authority in [
            "",
            ".",
            ":443",
            "app.example.com..",
            ".example.com",
            "app..example.com",
            "app.example.com:",
            "app.example.com:x",
            "app.example.com:443:443",
            "app.example.com:65536",
            "app.example.com:999999",
            "app.example.com, evil.example",
            "app.example.com,evil.example",
            "app.example.com evil.example",
            "app.example.com/",
            "app.example.com/admin",
            "app.example.com?",
            "app.example.com#",
            "user@app.example.com",
            "user:secret@app.example.com:443",
            "app%2eexample.com",
            "%61pp.example.com",
            "app\u{3002}example.com",
            "bücher.example",
            "xn--a.example",
            "app.example.com\\",
            "*.example.com",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "::1",
            "[::1",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[fe80::1%25eth0]",
        ] {
            assert_eq!(Host::parse(authority), Err(Unclear::Host), "{authority:?}");
        }
    }

    #[test]
    fn a_method_is_of_capital_letters() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "M-SEARCH"] {
            assert!(Method::parse(method).is_ok(), "{method}");
        }
        for method in [
            "", "get", "Get", "G E T", "GET,POST", "GET\0", "GÉT", "GET1",
        ] {
            assert_eq!(Method::parse(method), Err(Unclear::Method), "{method:?}");
        }
    }

    #[test]
    fn the_query_makes_no_difference() {
        let target = |uri| Target::parse("GET", "app.example.com", uri);
        let plain = target("/public").unwrap();
        for uri in ["/public?", "/public?x=/../admin", "/public?//%00;\\#é?%"] {
            assert_eq!(target(uri), Ok(plain.clone()), "{uri}");
        }
        assert_eq!(target("?/public"), Err(Unclear::Path));
    }

    #[test]
    fn a_folder_ends_where_a_segment_ends() {
        for folder in ["/admin", "/admin/"] {
            let folder = Path::parse(folder).unwrap();
            let is_within = |raw| Path::parse(raw).unwrap().is_within(&folder);
            for raw in ["/admin", "/admin/", "/admin/users", "/%61dmin/users"] {
                assert_eq!(is_within(raw), Ok(true), "{raw}");
            }
            for raw in [
                "/",
                "/administration",
                "/admi",
                "/public/admin",
                "/admin-x/",
            ] {
                assert_eq!(is_within(raw), Ok(false), "{raw}");
            }
            for raw in [
                "/Admin",
                "/adm%C4%B1n",
                "/adm%C4%B0n/x",
                "/admin%3Fx",
                "/admin%23x/y",
                "/admin::$DATA",
                "/ADMIN/users",
                "/admin./",
                "/admin%20/x",
                "/%EF%BD%81dmin",
            ] {
                assert_eq!(is_within(raw), Err(Unclear::Path), "{raw}");
            }
        }
        let root = Path::parse("/").unwrap();
        assert_eq!(root.is_within(&root), Ok(true));
        assert_eq!(Path::parse("/x").unwrap().is_within(&root), Ok(true));
    }

    /// Ways to write a path that mean something, somewhere.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", "/", "/", "a", "admin", "Admin", ".", "..", "%2e", "%2E", "%2f", "%2F", "\\",
            "%5c", "%5C", ";", "%3b", "%00", "%25", "%", "%61", "%C3%A9", "%ff", "é", "#", " ",
            "%20", "//",
        ]);
        prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        /// However often it is decoded, and whoever removes what means nothing.
        #[test]
        fn a_path_has_one_reading(raw in pieces()) {
            let Ok(path) = Path::parse(&raw) else { return Ok(()) };
            let again = percent_decode_str(&path.decoded).decode_utf8().unwrap();
            prop_assert_eq!(&*again, path.decoded.as_str());
            let url = url::Url::parse("https://app.example.com").unwrap().join(&raw).unwrap();
            let whatwg = percent_decode_str(url.path()).decode_utf8().unwrap();
            prop_assert_eq!(&*whatwg, path.decoded.as_str(), "as browsers resolve it");
            let merged = path.decoded.split('/').filter(|it| !it.is_empty());
            let merged = format!("/{}", merged.collect::<Vec<_>>().join("/"));
            prop_assert_eq!(merged.trim_end_matches('/'), path.decoded.trim_end_matches('/'));
            prop_assert!(!path.decoded.contains(['\\', ';', '\0']));
        }

        #[test]
        fn a_plain_path_is_read_like_any_other(plain in "/[a-z0-9_/-]{0,12}", any in pieces()) {
            for raw in [plain, any] {
                prop_assert_eq!(Path::parse(&raw), Path::parse_any(&raw), "{:?}", raw);
            }
        }

        /// Encoding what is plain changes nothing, in whatever case.
        #[test]
        fn every_encoding_of_a_path_is_that_path(path in "(/[a-zé .%]{1,5}[a-z])+/?", upper: bool) {
            let encode = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
            let all: String = path
                .bytes()
                .map(|byte| if byte == b'/' { "/".to_owned() } else { encode(byte) })
                .collect();
            let is_clear = !after_percent(&path).any(is_encoded);
            prop_assert_eq!(decoded(&all), is_clear.then_some(path));
        }

        #[test]
        fn whatever_is_read_can_be_read_again(raw in ".*", authority in ".*") {
            let _ = Path::parse(&raw);
            if let Ok(host) = Host::parse(&authority) {
                prop_assert_eq!(Host::parse(&host.0), Ok(host));
            }
        }

        #[test]
        fn a_plain_name_is_clear_to_a_url_parser(name in "([a-z0-9_x-]{1,4}|xn--[a-z]{0,3}|0x)([.]([a-z0-9_x-]{0,4}|xn--a|0x1f|127)){0,3}") {
            prop_assert!(!is_plain(&name) || is_clear(&name));
        }

        #[test]
        fn a_path_that_is_not_folded_is_the_same_folded(path in "(/[a-z0-9_.~ -]{0,3}[a-z_-])+/?") {
            let lower = path.to_lowercase();
            let segments: Vec<_> = lower.split('/').map(shortened).collect();
            prop_assert_eq!(folded(&path), segments.join("/"));
        }
    }
}
