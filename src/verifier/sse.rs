//! Server-sent events, as a client reads them (HTML Standard, 9.2).

use std::io::{self, BufRead, Read as _};

/// A longer line is not read, in bytes.
const MAX_LINE: u64 = 16 * 1024;

/// Its id is left out: the data say as much.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

pub(super) struct Events<R>(R);

impl<R: BufRead> Events<R> {
    pub(super) const fn new(from: R) -> Self {
        Self(from)
    }

    /// The next one; `None` once the stream has ended.
    pub(super) fn next(&mut self) -> io::Result<Option<Event>> {
        let mut event = Event::default();
        while let Some(line) = self.line()? {
            if line.is_empty() {
                if !event.data.is_empty() {
                    event.data.pop();
                    return Ok(Some(event));
                }
                event = Event::default();
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "data" => {
                    event.data.push_str(value);
                    event.data.push('\n');
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let mut from = (&mut self.0).take(MAX_LINE);
        from.read_line(&mut line)?;
        match line.pop() {
            Some('\n') => {
                let end = line.strip_suffix('\r').unwrap_or(&line).len();
                line.truncate(end);
                Ok(Some(line))
            }
            Some(_) if from.limit() == 0 => Err(io::Error::other("a line is too long")),
            Some(_) | None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Event> {
        let mut events = Events::new(text.as_bytes());
        std::iter::from_fn(|| events.next().unwrap()).collect()
    }

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn an_event_ends_with_an_empty_line() {
        let text = "event: window\ndata: {}\n\n: nothing\n\nid: 4-a\nevent:entry\ndata:1\r\ndata: 2\r\n\r\n\
                    retry: 9\nid\n\ndata:  x\n\nevent: cut\ndata: off";
        assert_eq!(
            read(text),
            [
                event("window", "{}"),
                event("entry", "1\n2"),
                event("", " x"),
            ]
        );
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_it_may() {
        let endless = "x".repeat(100_000);
        assert!(Events::new(endless.as_bytes()).next().is_err());
    }
}
