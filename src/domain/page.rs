//! Pages of long lists: newest first, each going on after the last one's end,
//! so that no page is slower than the first and none shows a row twice.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::id::{EventId, SessionId, UserId};

/// What a list is in the order of.
pub trait PageKey: Copy + From<Uuid> + Into<Uuid> {
    /// Tells the cursors of one list from another's.
    const TAG: u8;
}

impl PageKey for UserId {
    const TAG: u8 = b'u';
}

impl PageKey for SessionId {
    const TAG: u8 = b's';
}

impl PageKey for EventId {
    const TAG: u8 = b'e';
}

/// Where a page ended. As text it means nothing to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor<Id>(pub Id);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the next_cursor of this list's page before")]
pub struct InvalidCursor;

impl<Id: PageKey> Cursor<Id> {
    /// # Errors
    /// If no page of this list can have ended there.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let mut bytes = [0; 17];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes);
        match (length, bytes.split_first()) {
            (Ok(17), Some((tag, id))) if *tag == Id::TAG => {
                let id = Uuid::from_slice(id).map_err(|_| InvalidCursor)?;
                Ok(Self(id.into()))
            }
            _ => Err(InvalidCursor),
        }
    }
}

impl<Id: PageKey> std::fmt::Display for Cursor<Id> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [Id::TAG; 17];
        let id: Uuid = self.0.into();
        bytes[1..].copy_from_slice(id.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl<Id: PageKey> serde::Serialize for Cursor<Id> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How many rows a page has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u16);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1 to {}", Limit::MAX.0)]
pub struct InvalidLimit;

impl Limit {
    pub const MAX: Self = Self(200);

    /// # Errors
    /// If it is not from 1 to 200.
    pub fn parse(text: &str) -> Result<Self, InvalidLimit> {
        let number = text.parse().map_err(|_| InvalidLimit)?;
        if (1..=Self::MAX.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidLimit)
        }
    }

    #[must_use]
    pub fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug)]
pub struct PageOf<Id> {
    pub after: Option<Cursor<Id>>,
    pub limit: Limit,
}

impl<Id> PageOf<Id> {
    #[must_use]
    pub const fn first(limit: Limit) -> Self {
        Self { after: None, limit }
    }

    /// How many rows to read: one more than the page has tells whether it is the last.
    #[must_use]
    pub fn rows(&self) -> i64 {
        i64::from(self.limit.0) + 1
    }
}

#[derive(Clone, Debug)]
pub struct Page<T, Id> {
    pub items: Vec<T>,
    /// `None`: this is the last page.
    pub next: Option<Cursor<Id>>,
}

impl<T, Id> Page<T, Id> {
    /// The page, of as many rows as [`PageOf::rows`] asks for.
    #[must_use]
    pub fn cut(mut rows: Vec<T>, limit: Limit, id_of: impl Fn(&T) -> Id) -> Self {
        let has_more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let next = rows
            .last()
            .filter(|_| has_more)
            .map(|last| Cursor(id_of(last)));
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_cursor_is_of_one_list() {
        let id = UserId::new(Timestamp::from_millis(1), [7; 10]);
        let text = Cursor(id).to_string();
        assert_eq!(Cursor::<UserId>::parse(&text), Ok(Cursor(id)));
        assert_eq!(Cursor::<SessionId>::parse(&text), Err(InvalidCursor));
        for wrong in [
            "",
            "1",
            &text[1..],
            &format!("{text}A"),
            "%00",
            &id.to_string(),
        ] {
            assert_eq!(
                Cursor::<UserId>::parse(wrong),
                Err(InvalidCursor),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_page_knows_whether_it_is_the_last() {
        let id = |n| UserId::new(Timestamp::from_millis(n), [0; 10]);
        let rows = |n: i64| (0..n).map(id).collect::<Vec<_>>();
        let limit = Limit::parse("2").unwrap();
        assert_eq!(Page::cut(rows(2), limit, |id| *id).next, None);
        let page = Page::cut(rows(3), limit, |id| *id);
        assert_eq!(page.items, rows(2));
        assert_eq!(page.next, Some(Cursor(id(1))));
    }

    #[test]
    fn a_limit_has_limits() {
        for wrong in ["", "0", "201", "-1", "1.5", "65537"] {
            assert_eq!(Limit::parse(wrong), Err(InvalidLimit), "{wrong:?}");
        }
    }
}
