//! What is on the screen, and what keys do to it.

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

fn vip(address: &str, verdict: Verdict, why: &str) -> VipView {
    VipView {
        address: address.to_owned(),
        prefix_length: 24,
        verdict,
        reasons: Vec::new(),
        held_by: vec!["a".to_owned()],
        active_on: vec!["a".to_owned()],
        since: None,
        age: Some("41m".parse().unwrap()),
        cause: String::new(),
        why: why.to_owned(),
        event: None,
        before: None,
        next: vec!["b".to_owned()],
        next_effective_priority: None,
        next_crash_takeover: None,
        virtual_router_id: 51,
        family: "IPV4",
        advertised: true,
        warnings: Vec::new(),
        members: Vec::new(),
    }
}

fn look(vips: Vec<VipView>) -> Look {
    let away = crate::failure::Failure::local(
        crate::exit::Exit::Timeout,
        "DEADLINE_EXCEEDED",
        "NODE_TIMEOUT",
        "did not answer within 3s",
        "",
    );
    Look {
        verdict: Verdict::Degraded,
        beside: Vec::new(),
        vips,
        nodes: Vec::new(),
        statuses: vec![NodeStatus::failed(Some("c"), "unix:/c.sock".to_owned(), &away)],
        events: Vec::new(),
        at: Instant::now(),
        took: Span::ZERO,
    }
}

fn drawn(picture: &mut Picture, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| picture.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

fn picture(count: usize) -> Picture {
    let mut picture = Picture::plain(Times { zone: TimeZone::UTC }, true);
    let all = (1..=count).map(|n| {
        let verdict = if n == 7 { Verdict::NoActive } else { Verdict::Ok };
        vip(&format!("10.0.0.{n}"), verdict, "ACTIVE_DOWN_TIMER")
    });
    picture.take(look(all.collect()));
    picture
}

fn press(picture: &mut Picture, code: KeyCode) -> Wish {
    picture.on_key(Some(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[test]
fn the_screen_shows_verdict_nodes_and_addresses() {
    let lines = drawn(&mut picture(3), 100, 24);
    assert!(lines[0].starts_with("DEGRADED  3 addresses, 0 not OK  0/1 nodes answered"), "{lines:#?}");
    assert!(lines[2].starts_with("c     TIMEOUT"), "{lines:#?}");
    assert!(lines[2].contains("did not answer within 3s (NODE_TIMEOUT)"), "{lines:#?}");
    assert!(
        lines[5].starts_with("10.0.0.1/24  OK       a        41m  b     ACTIVE_DOWN_TIMER"),
        "{lines:#?}"
    );
    assert!(lines[23].starts_with("q quit"), "{lines:#?}");
}

#[test]
fn before_anything_is_known_it_says_so() {
    let mut picture = Picture::plain(Times { zone: TimeZone::UTC }, false);
    assert!(drawn(&mut picture, 80, 24)[0].contains("asking the nodes"));
}

#[test]
fn addresses_scroll_and_can_be_narrowed_to_those_with_problems() {
    let mut picture = picture(50);
    let first = |picture: &mut Picture| drawn(picture, 100, 24)[5].split('/').next().unwrap().to_owned();
    assert_eq!(first(&mut picture), "10.0.0.1");
    press(&mut picture, KeyCode::Down);
    assert_eq!(first(&mut picture), "10.0.0.2");
    press(&mut picture, KeyCode::End);
    assert_eq!(first(&mut picture), "10.0.0.50");
    press(&mut picture, KeyCode::PageUp);
    assert_eq!(first(&mut picture), format!("10.0.0.{}", 50 - picture.room));
    press(&mut picture, KeyCode::Char('p'));
    assert_eq!(first(&mut picture), "10.0.0.7");
    press(&mut picture, KeyCode::Home);
    assert_eq!(press(&mut picture, KeyCode::Char('r')), Wish::AskNow);
    press(&mut picture, KeyCode::Char(' '));
    assert!(picture.is_paused());
    assert_eq!(press(&mut picture, KeyCode::Char('q')), Wish::Quit);
}

#[test]
fn no_terminal_is_too_small_and_nothing_of_others_moves_the_cursor() {
    for (width, height) in [(1, 1), (3, 2), (20, 5), (500, 3)] {
        drawn(&mut picture(50), width, height);
    }
    let mut picture = Picture::plain(Times { zone: TimeZone::UTC }, true);
    picture.take(look(vec![vip("10.0.0.1", Verdict::Ok, "\u{1b}[2J\u{1b}[31mgone")]));
    let text = drawn(&mut picture, 100, 24).join("\n");
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[2J"), "{text}");
}
