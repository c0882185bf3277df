//! Each disagreement about an address as a line of its table.

use super::*;
use crate::model::AnswerView;

/// `node desired kernel own-mac heard-macs…`: MACs by their last octet, `-` for a node that was not asked.
fn places(lines: &[&str]) -> Vec<Place> {
    let word = |text: &str| match text {
        "present" => "PRESENT",
        "absent" => "ABSENT",
        "failed" => "FAILED",
        _ => "UNKNOWN",
    };
    let mac = |octet: &str| match octet.strip_prefix('v') {
        Some(vrid) => format!("00:00:5e:00:01:{vrid}"),
        None => format!("02:00:00:00:00:{octet}"),
    };
    let place = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [node, desired, kernel, own, heard @ ..] = words.as_slice() else { panic!("{line}") };
        let kernel = word(kernel);
        let answer = |octet: &&str| AnswerView { mac: mac(octet), ..AnswerView::default() };
        let probe = (*own != "-").then(|| ProbeView {
            link_mac: mac(own),
            holder_mac: (kernel == PRESENT).then(|| mac(own)),
            answers: heard.iter().map(answer).collect(),
            ..ProbeView::default()
        });
        Place { node: (*node).to_owned(), state: "", desired: word(desired), kernel, probe }
    };
    lines.iter().map(place).collect()
}

fn said(lines: &[&str], complete: bool) -> Vec<String> {
    let judgement = judge("10.0.0.10", &places(lines), complete);
    let faults = judgement.faults.into_iter().map(|fault| fault.message);
    faults.chain(judgement.unverified.into_iter().map(|text| format!("? {text}"))).collect()
}

#[test]
fn what_agrees_is_not_complained_about() {
    let table: [&[&str]; 4] = [
        &["a present present -", "b absent absent -"],
        &["a present present 01", "b absent absent 02 01"],
        &["a present present v51", "b absent absent 02 v51", "c absent absent 03 v51"],
        &["a present present 01", "b absent absent -", "c absent absent 03 01"],
    ];
    for lines in table {
        assert_eq!(said(lines, true), Vec::<String>::new(), "{lines:?}");
    }
}

#[test]
fn each_disagreement_is_a_sentence_that_names_the_nodes() {
    let table: [(&[&str], bool, &[&str]); 13] = [
        (
            &["a present present -", "b present present -"],
            true,
            &["10.0.0.10 is in the kernels of a and b: it must have one owner"],
        ),
        (
            &["a present failed -", "b absent absent -"],
            true,
            &[
                "a should hold 10.0.0.10, and its kernel has it FAILED",
                "nobody holds 10.0.0.10: it is in no kernel of a and b",
            ],
        ),
        (&["a absent present -"], true, &["a should not hold 10.0.0.10, and its kernel has it PRESENT"]),
        (&["a absent absent -"], false, &["? no node that answered holds 10.0.0.10"]),
        (
            &["a present present -", "b absent absent 02 01"],
            true,
            &["? a stranger (02:00:00:00:00:01) answers for 10.0.0.10; whether that is a is not known"],
        ),
        (
            &["a present present 01 02", "b present present 02 01"],
            true,
            &[
                "10.0.0.10 is in the kernels of a and b: it must have one owner",
                "a (02:00:00:00:00:01) and b (02:00:00:00:00:02) answer for 10.0.0.10, heard by a and b",
            ],
        ),
        (
            &["a present present 01", "b absent absent 02 01 09"],
            true,
            &["a (02:00:00:00:00:01) and a stranger (02:00:00:00:00:09) answer for 10.0.0.10, heard by b"],
        ),
        (
            &["a present present 01 09"],
            true,
            &[
                "a stranger (02:00:00:00:00:09) answers for 10.0.0.10, which a (02:00:00:00:00:01) holds, heard by a",
                "? a does not hear itself, and no other node could ask the wire for 10.0.0.10",
            ],
        ),
        (
            &["a present present 01", "b absent absent 02 03", "c absent absent 03"],
            true,
            &[
                "c (02:00:00:00:00:03) answers for 10.0.0.10, which a (02:00:00:00:00:01) holds, heard by b",
                "c hears nobody answer for 10.0.0.10, which a holds; others do",
            ],
        ),
        (
            &["a present present 01", "b absent absent 02", "c absent absent 03"],
            true,
            &["nobody answers for 10.0.0.10, which a holds, asked by b and c"],
        ),
        (
            &["a present present v51 v51", "b absent absent 02 v51"],
            true,
            &["somebody beside a answers for 10.0.0.10 with the same MAC 00:00:5e:00:01:51"],
        ),
        (
            &["a absent absent 01 09"],
            false,
            &[
                "a stranger (02:00:00:00:00:09) answers for 10.0.0.10, which no node that was asked holds, heard by a",
                "? no node that answered holds 10.0.0.10",
            ],
        ),
        (
            &["a present unknown -"],
            false,
            &["? the kernel of a has not been read for 10.0.0.10", "? no node that answered holds 10.0.0.10"],
        ),
    ];
    for (lines, complete, expected) in table {
        assert_eq!(said(lines, complete), expected, "{lines:?}");
    }
}
