//! Server-sent events, as a client reads them (HTML Standard, 9.2).

use std::io::{self, BufRead, ErrorKind};

/// A longer line is not read, nor a longer event, in bytes.
const MAX_LINE: usize = 16 * 1024;
const MAX_EVENT: usize = 64 * 1024;

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

    /// The next one; `None` once the stream has ended. Asked before anything is read,
    /// `is_late` says when nobody waits any more, whatever else comes.
    pub(super) fn next(&mut self, is_late: impl Fn() -> bool) -> io::Result<Option<Event>> {
        let mut event = Event::default();
        while let Some(line) = self.line(&is_late)? {
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
                    if event.data.len() > MAX_EVENT {
                        return Err(io::Error::other("an event is too long"));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn line(&mut self, is_late: impl Fn() -> bool) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            if is_late() {
                return Err(ErrorKind::TimedOut.into());
            }
            let read = self.0.fill_buf()?;
            if read.is_empty() {
                return Ok(None);
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(read.len());
            line.extend_from_slice(&read[..length]);
            self.0.consume(length + usize::from(end.is_some()));
            if line.len() > MAX_LINE {
                return Err(io::Error::other("a line is too long"));
            }
            if end.is_some() {
                line.pop_if(|last| *last == b'\r');
                let line = String::from_utf8(line);
                return line.map(Some).map_err(io::Error::other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn read(text: &str) -> Vec<Event> {
        let mut events = Events::new(text.as_bytes());
        std::iter::from_fn(|| events.next(|| false).unwrap()).collect()
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
        assert!(Events::new(endless.as_bytes()).next(|| false).is_err());
    }

    #[test]
    fn an_event_without_an_end_takes_no_more_memory_than_it_may() {
        let endless = std::iter::repeat_n("data: and so on\n", 10_000).collect::<String>();
        assert!(Events::new(endless.as_bytes()).next(|| false).is_err());
    }

    /// As a proxy keeps a stream alive whose source is gone.
    #[test]
    fn comments_keep_nobody_waiting() {
        let pings = ": ping\n".repeat(1000);
        let (left, asked) = (Cell::new(10), "event: entry\ndata: 1\n\n");
        let is_late = || left.replace(left.get() - 1) == 0;
        let text = format!("{asked}{pings}{asked}");
        let mut events = Events::new(text.as_bytes());
        assert_eq!(events.next(is_late).unwrap(), Some(event("entry", "1")));
        let late = events.next(is_late).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }
}
