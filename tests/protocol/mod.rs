//! The protocol of revocation, driven through random interleavings: logins, reads
//! and refills that land late, revocations, pushes and heartbeats delayed or lost,
//! polls whose answers hang, cut connections, a hot store that gives back any copy it
//! has ever held, and time. What decides is the product's own (`View`, `Roster`,
//! `Belief`, `verdict`); what is made up here is the world around it.
//!
//! A hundred thousand steps; `PROPTEST_CASES` asks for more, a hundred steps each.
//! What fails is printed, and kept beside this file.

mod world;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use world::{LEASE, Step, World};

const STEPS: usize = 100;
const CASES: u32 = 1000;

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

fn instance() -> impl Strategy<Value = usize> {
    0..world::INSTANCES
}

fn step() -> impl Strategy<Value = Step> {
    let any_one = 0..1000_usize;
    let (one, some) = (any_one.clone(), any_one);
    let is_up = any::<bool>();
    prop_oneof![
        4 => (instance(), 0..world::USERS).prop_map(|(at, user)| Step::LogIn { at, user }),
        12 => (instance(), one.clone(), some.clone())
            .prop_map(|(at, session, copy)| Step::Check { at, session, copy }),
        2 => one.clone().prop_map(|session| Step::BeginRead { session }),
        2 => one.clone().prop_map(|read| Step::FinishRead { read }),
        4 => (instance(), one.clone()).prop_map(|(at, session)| Step::End { at, session }),
        2 => (instance(), 0..world::USERS, prop::option::of(some))
            .prop_map(|(at, user, spared)| Step::EndUser { at, user, spared }),
        1 => instance().prop_map(|at| Step::EndEveryone { at }),
        1 => (instance(), 0..world::USERS).prop_map(|(at, user)| Step::Change { at, user }),
        6 => instance().prop_map(|at| Step::BeginPoll { at }),
        6 => instance().prop_map(|at| Step::FinishPoll { at }),
        4 => instance().prop_map(|at| Step::Beat { at }),
        4 => instance().prop_map(|at| Step::Send { at }),
        8 => instance().prop_map(|at| Step::Hear { at }),
        3 => Just(Step::Exchange),
        1 => instance().prop_map(|at| Step::Resubscribe { at }),
        2 => (instance(), is_up).prop_map(|(at, is_up)| Step::Ledger { at, is_up }),
        1 => (instance(), is_up).prop_map(|(at, is_up)| Step::Redis { at, is_up }),
        3 => instance().prop_map(|at| Step::Wait { at }),
        1 => instance().prop_map(|at| Step::StrikeOff { at }),
        8 => (1u64..300).prop_map(|millis| Step::Pass { millis }),
        1 => (1000u64..6000).prop_map(|millis| Step::Pass { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    /// [`World::take`] fails if an instance accepts a session for longer after it
    /// was revoked than the lease, or at all once the revocation was said to be
    /// effective; or if it calls a live one ended.
    #[test]
    fn no_interleaving_keeps_a_revoked_session_alive(
        steps in prop::collection::vec(step(), STEPS)
    ) {
        let mut world = World::new();
        for step in steps {
            world.take(&step);
        }
    }
}

/// On the first instance, and all have asked the ledger since.
fn somebody_is_logged_in() -> World {
    let mut world = World::new();
    world.take(&Step::LogIn { at: 0, user: 0 });
    for at in 0..world::INSTANCES {
        world.take(&Step::BeginPoll { at });
        world.take(&Step::FinishPoll { at });
    }
    world
}

/// Of whoever is logged in first.
const fn check(at: usize) -> Step {
    Step::Check {
        at,
        session: 0,
        copy: 0,
    }
}

/// The simulation would prove nothing if it never came to where it matters.
#[test]
fn an_instance_cut_off_from_the_ledger_goes_on_while_the_others_vouch_for_it() {
    let (mut world, check) = (somebody_is_logged_in(), check(2));
    world.take(&Step::Ledger {
        at: 2,
        is_up: false,
    });
    let millis = 1000;
    for _ in 0..2 * LEASE.as_millis() / u128::from(millis) {
        world.take(&Step::Pass { millis });
        for at in [0, 1] {
            world.take(&Step::BeginPoll { at });
            world.take(&Step::FinishPoll { at });
        }
        world.take(&Step::BeginPoll { at: 2 });
        world.take(&Step::Exchange);
        world.take(&Step::Exchange);
        assert_eq!(world.take(&check), Some(true));
    }

    // Somebody revokes, and the push is lost with the subscription.
    world.take(&Step::Redis {
        at: 2,
        is_up: false,
    });
    world.take(&Step::End { at: 0, session: 0 });
    let millis = LEASE.as_millis().try_into().unwrap();
    world.take(&Step::Pass { millis });
    assert_eq!(world.take(&check), None, "nobody can tell");
}

/// Its own beats still come back: that alone proves nothing.
#[test]
fn an_instance_cut_off_from_the_ledger_does_not_go_on_by_its_own_word() {
    let mut world = somebody_is_logged_in();
    let is_up = false;
    world.take(&Step::Ledger { at: 2, is_up });
    world.take(&Step::BeginPoll { at: 2 });
    world.take(&Step::Exchange);
    world.take(&Step::Exchange);
    for at in [0, 1] {
        world.take(&Step::Redis { at, is_up });
    }
    world.take(&Step::End { at: 0, session: 0 });
    for _ in 0..LEASE.as_secs() {
        world.take(&Step::Pass { millis: 1000 });
        world.take(&Step::Exchange);
    }
    assert_eq!(world.take(&check(2)), None, "nobody can tell");
}

/// Whoever waits for it has a shorter one.
#[test]
fn an_instance_that_is_missed_is_waited_for_until_its_own_lease_is_over() {
    let mut world = somebody_is_logged_in();
    let is_up = false;
    world.take(&Step::Ledger { at: 0, is_up });
    world.take(&Step::Redis { at: 0, is_up });
    world.take(&Step::Pass { millis: 1100 });
    world.take(&Step::StrikeOff { at: 2 });
    world.take(&Step::BeginPoll { at: 2 });
    world.take(&Step::FinishPoll { at: 2 });
    world.take(&Step::Pass { millis: 3500 });
    world.take(&Step::End { at: 2, session: 0 });
    world.take(&Step::Wait { at: 2 });
    assert_eq!(world.take(&check(0)), Some(true), "it has a lease of 5 s");
}
