//! The same request twice is one effect and one answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

type Text = String;

fn effect(
    count: &Arc<AtomicU64>,
    outcome: Result<&str, Status>,
) -> impl Future<Output = Result<Text, Status>> + use<> {
    let (count, outcome) = (Arc::clone(count), outcome.map(str::to_owned));
    async move {
        count.fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_an_hour_and_then_forgotten() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    assert_eq!(once.run(User::Unix(1), "id", &question, effect(&count, Ok("first"))).await.unwrap(), "first");
    tokio::time::advance(KEPT - Duration::from_secs(1)).await;
    assert_eq!(
        once.run(User::Unix(1), "id", &question, effect(&count, Ok("second"))).await.unwrap(),
        "first"
    );
    assert_eq!(count.load(Ordering::Relaxed), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(once.run(User::Unix(1), "id", &question, effect(&count, Ok("third"))).await.unwrap(), "third");
    let table = once.lock();
    assert_eq!(
        (table.all.answers, table.order.len(), table.all.octets),
        (1, 1, "third".to_owned().encoded_len())
    );
}

#[tokio::test]
async fn users_do_not_share_ids_and_no_id_shares_nothing() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    for (user, id) in [(1, "id"), (2, "id"), (1, ""), (1, "")] {
        once.run(User::Unix(user), id, &question, effect(&count, Ok("answer"))).await.unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    assert!(once.run(User::Unix(1), "id", &question, effect(&count, Err(internal()))).await.is_err());
    assert_eq!(
        once.run(User::Unix(1), "id", &"another".to_owned(), effect(&count, Ok("now"))).await.unwrap(),
        "now"
    );
    assert_eq!(once.lock().order.len(), 1);
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_id_is_free_again() {
    let (once, count) = (Once::default(), Arc::default());
    let question = "question".to_owned();
    let broken = async { panic!("in a test") };
    assert!(once.run::<_, Text>(User::Unix(1), "id", &question, broken).await.is_err());
    assert_eq!(once.run(User::Unix(1), "id", &question, effect(&count, Ok("now"))).await.unwrap(), "now");
}

/// Asks for changes with answers of so many octets until one is refused; returns how many were made.
async fn fill(once: &Once, user: User, octets: usize, most: usize) -> usize {
    let (count, question, answer) = (Arc::default(), "question".to_owned(), "x".repeat(octets));
    for number in 0..most {
        match once.run(user, &number.to_string(), &question, effect(&count, Ok(&answer))).await {
            Ok(_) => {}
            Err(refused) => {
                assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
                return number;
            }
        }
    }
    most
}

#[tokio::test]
async fn a_full_table_refuses_instead_of_forgetting_too_early() {
    let (once, count) = (Once::default(), Arc::default());
    let (question, large) = ("question".to_owned(), "x".repeat(1 << 20));
    assert_eq!(fill(&once, User::Unix(1), 1 << 20, 99).await, 8);
    let answer = once.run(User::Unix(1), "3", &question, effect(&count, Ok("small"))).await;
    assert_eq!(answer.unwrap(), large, "what is kept is answered");
    assert!(once.run(User::Unix(1), "", &question, effect(&count, Ok("small"))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_fills_the_table_leaves_others_their_share_of_it() {
    let once = Once::default();
    let [one, other, third] = [User::Unix(1), User::Certificate(7), User::Unix(3)];
    assert_eq!(fill(&once, one, 1 << 20, 99).await, 8);
    assert_eq!(fill(&once, other, 1 << 20, 99).await, 8);
    assert_eq!(fill(&once, third, 1, 99).await, 0, "all of it is in use");
    assert_eq!(fill(&once, User::ROOT, 1, 99).await, 99, "but not for the administrator");
    tokio::time::advance(KEPT + Duration::from_secs(1)).await;
    assert_eq!(fill(&once, third, 1, 9000).await, 8192);
    assert_eq!(once.lock().shares.len(), 1, "only who has something there is known");
}
