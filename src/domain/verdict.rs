//! The decision at the heart of a check: a pure function of a copy, the view
//! and the time.

use crate::domain::session::Record;
use crate::domain::time::Timestamp;
use crate::domain::view::View;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    Alive,
    /// The log has ended the session.
    Ended,
    /// The session has outlived its absolute limit.
    Expired,
    /// Not seen for the idle timeout, as far as this copy knows.
    Idle,
    /// The copy is older than something that may have changed it.
    Stale,
}

/// Where a record was just found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundIn {
    /// Among the copies here or in the hot store.
    Copy,
    Ledger,
}

/// What to make of a record. `Alive`, `Ended` and `Expired` are definite
/// wherever it was found; `Idle` is, if nobody can know of a later touch;
/// `Stale` means that only the ledger can tell.
pub fn verdict(record: &Record, found_in: FoundIn, view: &View, now: Timestamp) -> Verdict {
    let Record {
        session, vouched, ..
    } = record;
    let is_covered = match found_in {
        FoundIn::Copy => view.covers(*vouched),
        // The ledger may be ahead of the view.
        FoundIn::Ledger => vouched.number.get() >= view.floor().get(),
    };
    let is_of_another_log = view
        .mark_at(vouched.number)
        .is_some_and(|mark| mark != vouched.mark);
    if is_of_another_log {
        Verdict::Stale
    } else if view.ends(session.id, session.user_id, session.born) {
        Verdict::Ended
    } else if session.is_expired(now) {
        Verdict::Expired
    } else if !is_covered || view.outdates(session.user_id, vouched.number) {
        Verdict::Stale
    } else if session.is_idle(now) {
        Verdict::Idle
    } else {
        Verdict::Alive
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::revocation::{Entry, Head, LogNumber, Mark, Revocation};
    use crate::domain::session::tests::record;

    fn view(revocations: &[Revocation]) -> View {
        let mark = Mark([0; 16]);
        let number = LogNumber::new(10);
        let mut view = View::starting_at(Head { number, mark }, 100);
        for (n, revocation) in (11..).zip(revocations) {
            let number = LogNumber::new(n);
            let entry = Entry {
                number,
                mark,
                revocation: *revocation,
            };
            view.advance(&[entry]).unwrap();
        }
        view
    }

    #[test]
    fn each_cause_has_its_verdict() {
        let copy = record(10, 10);
        let start = copy.session.issued_at();
        let later = |seconds| start + Duration::from_secs(seconds);
        let user = copy.session.user_id;

        assert_eq!(
            verdict(&copy, FoundIn::Copy, &view(&[]), start),
            Verdict::Alive
        );
        assert_eq!(
            verdict(&copy, FoundIn::Copy, &view(&[]), later(100)),
            Verdict::Idle
        );
        assert_eq!(
            verdict(&copy, FoundIn::Copy, &view(&[]), later(1000)),
            Verdict::Expired
        );
        assert_eq!(
            verdict(
                &copy,
                FoundIn::Copy,
                &view(&[Revocation::SessionEnded(copy.session.id)]),
                start
            ),
            Verdict::Ended
        );
        assert_eq!(
            verdict(
                &copy,
                FoundIn::Copy,
                &view(&[Revocation::UserEnded { user, spared: None }]),
                start
            ),
            Verdict::Ended
        );
        let spared = Some(copy.session.id);
        assert_eq!(
            verdict(
                &copy,
                FoundIn::Copy,
                &view(&[Revocation::UserEnded { user, spared }]),
                start
            ),
            Verdict::Alive
        );
        assert_eq!(
            verdict(
                &copy,
                FoundIn::Copy,
                &view(&[Revocation::UserChanged(user)]),
                start
            ),
            Verdict::Stale
        );
        assert_eq!(
            verdict(
                &copy,
                FoundIn::Copy,
                &view(&[Revocation::EveryoneEnded]),
                start
            ),
            Verdict::Ended
        );
    }

    #[test]
    fn a_copy_from_before_the_window_is_stale_and_a_session_from_before_it_is_not() {
        let start = record(0, 0).session.issued_at();
        let of = |record: &Record, source| verdict(record, source, &view(&[]), start);
        assert_eq!(of(&record(3, 9), FoundIn::Copy), Verdict::Stale);
        assert_eq!(of(&record(3, 10), FoundIn::Copy), Verdict::Alive);
        assert_eq!(
            of(&record(3, 11), FoundIn::Copy),
            Verdict::Stale,
            "ahead of the view"
        );
        assert_eq!(of(&record(3, 11), FoundIn::Ledger), Verdict::Alive);
    }
}
