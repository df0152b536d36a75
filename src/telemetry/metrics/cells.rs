//! Numbers that many threads add to and few read. A thread adds in a place of its own, so
//! that none waits for the memory that another has just written to: what is counted at
//! every check costs a few nanoseconds, however many cores check.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Threads beyond share places.
const PLACES: usize = 16;

/// What processors hand to each other whole.
const LINE: usize = 8;

#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

type Place = OnceLock<Box<[Line]>>;

pub(super) struct Cells {
    width: usize,
    /// Of threads that have added something.
    places: [Place; PLACES],
}

impl Cells {
    pub(super) const fn new(width: usize) -> Self {
        Self {
            width,
            places: [const { OnceLock::new() }; PLACES],
        }
    }

    pub(super) fn add(&self, position: usize, amount: u64) {
        let lines = self.places[own_place()].get_or_init(|| {
            let lines = self.width.div_ceil(LINE);
            (0..lines).map(|_| Line::default()).collect()
        });
        if let Some(Line(cells)) = lines.get(position / LINE) {
            cells[position % LINE].fetch_add(amount, Ordering::Relaxed);
        }
    }

    pub(super) fn sum(&self, position: usize) -> u64 {
        let places = self.places.iter().filter_map(OnceLock::get);
        let cells = places.filter_map(|lines| lines.get(position / LINE));
        cells
            .map(|Line(cells)| cells[position % LINE].load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }
}

fn own_place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let place = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
            own.set(Some(place));
            place
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_many_threads_add_is_lost() {
        let cells = Cells::new(20);
        std::thread::scope(|scope| {
            for _ in 0..2 * PLACES {
                scope.spawn(|| (0..1000).for_each(|n| cells.add(n % 20, 1)));
            }
        });
        for position in 0..20 {
            assert_eq!(cells.sum(position), 2 * PLACES as u64 * 50);
        }
    }
}
