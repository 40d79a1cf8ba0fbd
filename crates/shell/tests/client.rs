//! What a client asks, and what it may say of the answers.

#[path = "common/script.rs"]
mod script;

use node::{Answer, NodeId};
use script::{Do, Jumping, Puppet, Said, Script, answer};
use shell::{Backoff, Client, Outcome, Policy, Resend};
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn client(net: &Script, resend: Resend) -> Client<Puppet, Script, Jumping> {
    let policy = Policy { give_up: MS(1000), resend, deduplicated: false };
    Client::new(NodeId(5), 3, policy, net.clone(), net.clock.clone(), 1)
}

fn call(net: &Script, mut client: Client<Puppet, Script, Jumping>) -> (Outcome<u8>, u64) {
    let outcome = net.clock.run(client.call(7, NodeId(1), &vec![Do::Reply(1)]));
    (outcome, shell::Clock::now(&net.clock).as_millis() as u64)
}

/// When it asked whom.
fn asked(net: &Script) -> Vec<(u64, u16)> {
    let request = Said::Request { call: 7, op: vec![Do::Reply(1)] };
    let said = net.said().into_iter().map(|(at, to, said)| {
        assert_eq!(said, request, "the same request over all attempts");
        (at, to)
    });
    said.collect()
}

fn fail() -> Answer<u8> {
    Answer::Fail("no".into())
}

#[test]
fn an_answer_ends_a_call_and_strangers_do_not() {
    let net = Script::default();
    net.arrive(3, 1, answer(6, Answer::Ok(9), 1, 0));
    net.arrive(4, 1, b"garbage".as_slice());
    net.arrive(4, 2, answer(7, Answer::Ok(8), 1, 1));
    net.tell(5, 1, &[]);
    net.arrive(6, 1, answer(7, Answer::Ok(4), 1, 1));
    assert_eq!(call(&net, client(&net, Resend::Never)), (Outcome::Ok(4), 6));
    assert_eq!(asked(&net), [(0, 1)]);
    assert_eq!(*net.distrusted.borrow(), [NodeId(1), NodeId(1)]);
}

#[test]
fn without_an_answer_nothing_is_known() {
    let net = Script::default();
    assert_eq!(call(&net, client(&net, Resend::Never)), (Outcome::Info, 1000));
    assert_eq!(asked(&net), [(0, 1)]);
}

#[test]
fn it_asks_again_when_an_engine_says() {
    let net = Script::default();
    let resend = Resend::At(vec![MS(300), MS(100), MS(100), MS(2000)]);
    assert_eq!(call(&net, client(&net, resend)).0, Outcome::Info);
    assert_eq!(asked(&net), [(0, 1), (100, 1), (100, 1), (300, 1)]);
}

#[test]
fn it_asks_again_after_growing_pauses() {
    let net = Script::default();
    let backoff = Backoff { first: MS(40), most: MS(200) };
    assert_eq!(call(&net, client(&net, Resend::After(backoff))).0, Outcome::Info);
    let asked = asked(&net);
    let pauses: Vec<u64> = asked.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    for (pause, whole) in pauses.iter().zip([40, 80, 160, 200, 200]) {
        assert!((whole / 2..=whole).contains(pause), "{pauses:?}");
    }
    assert!(pauses.len() >= 5);
}

#[test]
fn a_fail_is_believed_when_every_copy_has_been_answered() {
    let fails = |resend: &[u64], answers: &[(u64, u32, u32)]| {
        let net = Script::default();
        for (at, life, nth) in answers {
            net.arrive(*at, 1, answer(7, fail(), *life, *nth));
        }
        let resend = Resend::At(resend.iter().map(|at| MS(*at)).collect());
        call(&net, client(&net, resend)).0
    };
    let (yes, unknown) = (Outcome::Fail("no".into()), Outcome::Info);
    assert_eq!(fails(&[], &[(5, 1, 0)]), yes);
    // Another copy is under way.
    assert_eq!(fails(&[3], &[(5, 1, 0)]), unknown);
    // The call ends with the first answer: a later attempt is never made.
    assert_eq!(fails(&[30], &[(5, 1, 0)]), yes);
}

#[test]
fn retries_count_as_answers_and_copies_of_one_do_not() {
    let run = |second: Answer<u8>, second_nth: u32| {
        let net = Script::default();
        net.arrive(5, 1, answer(7, Answer::Retry(Some(NodeId(2))), 1, 0));
        net.arrive(30, 1, answer(7, second, 1, second_nth));
        net.arrive(60, 2, answer(7, fail(), 1, 0));
        (call(&net, client(&net, Resend::Never)).0, asked(&net))
    };
    // A copy of the first answer: nothing new, and no second request either.
    let (outcome, asked) = run(Answer::Retry(Some(NodeId(2))), 0);
    assert_eq!((outcome, asked), (Outcome::Fail("no".into()), vec![(0, 1), (7, 2)]));
    // A second answer to the first request, which the network has copied: it is sent on again, and
    // n2 has answered one of two.
    let (outcome, asked) = run(Answer::Retry(Some(NodeId(2))), 1);
    assert_eq!((outcome, asked), (Outcome::Info, vec![(0, 1), (7, 2), (34, 2)]));
}

#[test]
fn deduplicated_requests_have_one_outcome() {
    let net = Script::default();
    net.arrive(5, 1, answer(7, fail(), 1, 0));
    let mut client = client(&net, Resend::At(vec![MS(1), MS(2)]));
    client.policy.deduplicated = true;
    assert_eq!(call(&net, client).0, Outcome::Fail("no".into()));
}

#[test]
fn a_retry_sends_the_request_on_slower_each_time() {
    let net = Script::default();
    let hints = [Some(NodeId(0)), None, None, Some(NodeId(9)), Some(NodeId(2))];
    // n1 names n0; n0 knows nobody, so n1; n1 knows nobody, so n2; n2 names one that is no node.
    for ((nth, hint), (at, from)) in
        (0..).zip(hints).zip([(1, 1), (10, 0), (20, 1), (40, 2), (80, 0)])
    {
        net.arrive(at, from, answer(7, Answer::Retry(hint), 1, nth));
    }
    net.arrive(200, 2, answer(7, Answer::Ok(8), 4, 0));
    assert_eq!(call(&net, client(&net, Resend::Never)), (Outcome::Ok(8), 200));
    assert_eq!(asked(&net), [(0, 1), (3, 0), (14, 1), (28, 2), (56, 0), (112, 2)]);
}
