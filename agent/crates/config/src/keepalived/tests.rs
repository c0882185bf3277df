//! The language: what lines become before anything is made of them.

use std::path::Path;

use super::expand::Expander;
use super::files::{Files, Reports};
use super::machine::{Machine, NoMachine};
use super::tree::{self, Statement};

/// Statements as text: words in brackets where they hold blanks, blocks in braces.
fn read(text: &str) -> (String, Vec<String>) {
    read_on(text, &mut NoMachine)
}

fn read_on(text: &str, machine: &mut dyn Machine) -> (String, Vec<String>) {
    let files = Files::load(Path::new("/etc/keepalived/k.conf"), text, machine);
    let mut reports = Reports::new(&files);
    let lines = Expander::new(&files, "node", &mut reports).all();
    let statements = tree::read(&lines, &mut reports);
    let findings = reports.finish();
    (shown(&statements), findings.iter().map(crate::Finding::headline).collect())
}

fn shown(statements: &[Statement]) -> String {
    let one = |statement: &Statement| {
        let word = |text: &str| {
            if text.contains([' ', '{', '}']) || text.is_empty() {
                format!("<{text}>")
            } else {
                text.to_owned()
            }
        };
        let words: Vec<String> = statement.words.iter().map(|one| word(&one.text)).collect();
        let block = statement.block.as_ref().map(|block| format!(" {{ {} }}", shown(block)));
        words.join(" ") + &block.unwrap_or_default()
    };
    statements.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn lines_blocks_comments_quotes_and_escapes_are_read_as_keepalived_reads_them() {
    let table = [
        ("a b # c\n! d\ne!f", "a b; e"),
        ("a \\# b\nc \\\\!d\n\\!e", "a; c \\\\"),
        ("a \"\\#\" b'#'", "a \\# b'"),
        ("a \"b # c\" d", "a <b # c> d"),
        ("a {\n b\n c d\n}\ne", "a { b; c d }; e"),
        ("a { b\n c }", "a { b; c }"),
        ("a { b } c { d }", "a { b }; c { d }"),
        ("a\n{\n b\n}", "a { b }"),
        ("a b{c}", "a b { c }"),
        ("a 'b \"c d\" e'", "a 'b <c d> e'"),
        ("script 'b \"c\" d'", "script <b \"c\" d>"),
        ("v { script 'b c' }", "v { script <b c> }"),
        ("a x\\ty", "a x\\ty"),
        ("abcd\" efg h jkl \"mnop", "abcd < efg h jkl > mnop"),
        ("a \"\"b", "a <> b"),
        ("script \"x\\ty\\x41\\101\\\"\"", "script x\tyAA\""),
        ("a \"${b}\" $c ${d}", "a <${b}> $c <${d}>"),
        ("a\r\nb c\r\n", "a; b c"),
        ("", ""),
    ];
    for (text, expected) in table {
        let (read, findings) = read(text);
        assert_eq!((read.as_str(), findings), (expected, vec![]), "{text:?}");
    }
}

#[test]
fn conditions_parameters_sequences_and_lists_become_lines() {
    let table = [
        ("@node a\n@other b\n@^other c\n@^node d", "a; c"),
        ("$X=1\na $X ${X}2 $Xy", "a 1 12 $Xy"),
        ("$A=10.2.${B}\n$B=0\n${A}.1/32\n$B=10\n${A}.1/32", "10.2.0.1/32; 10.2.10.1/32"),
        ("$E=\na $E b", "a b"),
        ("a ${UNDEFINED} $X", "a <${UNDEFINED}> $X"),
        ("$IF=@node\n$IF a", "a"),
        ("$L= \\\n a ${N} { \\\n b \\\n }\n$N=1\n$L\n$N=2\n$L", "a 1 { b }; a 2 { b }"),
        ("$I= \\\n x $N\n$O= \\\n $N=1 \\\n $I \\\n $N=2 \\\n $I\n$O", "x 1; x 2"),
        ("~SEQ(N, 0, 3) a $N", "a 0; a 1; a 2; a 3"),
        ("~SEQ(N, 3) a $N", "a 1; a 2; a 3"),
        ("~SEQ(N, -2) a $N", "a -1; a -2"),
        ("~SEQ(N, 6, -2, 1) a $N", "a 6; a 4; a 2"),
        ("~SEQx(N, 0x90, 0x10, 0xb0) a::$N", "a::90; a::a0; a::b0"),
        ("~SEQx(N, 0x90, 0x10, 0xb0) a::${N}", "a::90; a::a0; a::b0"),
        ("~LST(N, a, b) ~SEQ(M, 1, 2) ${N}${M}", "a1; a2; b1; b2"),
        ("~LST({A, B}, {1, 2},{3, 4}) ${A}-${B}", "1-2; 3-4"),
        ("a ${_HASH}b\n$C=#c\na$C ${_BANG}", "a; a"),
        ("a ${_INSTANCE} ${_PWD}/x \"${_HASH}1 ${_BANG}\"", "a node /etc/keepalived/x <#1 !>"),
        ("$V= \\\n a ${N} \\\n b\n~SEQ(N,1,2) $V", "a 1; b; a 2; b"),
    ];
    for (text, expected) in table {
        let (read, findings) = read(text);
        assert_eq!((read.as_str(), findings), (expected, vec![]), "{text:?}");
    }
}

#[test]
fn a_place_is_that_of_the_word_in_the_file_also_behind_parameters() {
    let files = Files::load(Path::new("k"), "$X=1\n  a $X bc\n$L= \\\n  d \\\n  e\n$L\n", &mut NoMachine);
    let mut reports = Reports::new(&files);
    let lines = Expander::new(&files, "node", &mut reports).all();
    let statements = tree::read(&lines, &mut reports);
    let words = statements.iter().flat_map(|statement| &statement.words);
    let places: Vec<(&str, u32, u32)> =
        words.map(|word| (word.text.as_str(), word.place.start, word.place.end)).collect();
    assert_eq!(places, [("a", 7, 8), ("1", 9, 10), ("bc", 12, 14), ("d", 23, 24), ("e", 29, 30)]);
}

#[test]
fn what_keepalived_runs_with_although_it_is_wrong_is_warned_of() {
    let table = [
        (
            "a {\n b\n",
            "a { b }",
            "k.conf:1:1: warning: the block of a is not closed; add '}'; it is taken to end with the file",
        ),
        (
            "a\u{9b}1mb\u{202e} {\n",
            "a\u{9b}1mb\u{202e} {  }",
            r"k.conf:1:1: warning: the block of a\u{9b}1mb\u{202e} is not closed; add '}'; it is taken to end with the file",
        ),
        (
            "a\n}\nb",
            "a; b",
            "k.conf:2:1: warning: '}' closes nothing; remove it, or look for a '{' that is missing above",
        ),
        (
            "a \"b\nc",
            "a; c",
            "k.conf:1:3: warning: the quote is not closed in this line; close it; what stands behind it is left out, as in keepalived",
        ),
        (
            "script \"b\nc",
            "script b; c",
            "k.conf:1:8: warning: the quote is not closed in this line; close it; it is taken to end with the line",
        ),
    ];
    for (text, expected, finding) in table {
        let (read, findings) = read(text);
        assert_eq!(
            (read.as_str(), findings.concat()),
            (expected, format!("/etc/keepalived/{finding}")),
            "{text:?}"
        );
    }
}

/// Files by their paths.
struct Disk(&'static [(&'static str, &'static str)]);

impl Machine for Disk {
    fn read(&mut self, path: &Path) -> std::io::Result<String> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        let is_file = |(name, _): &&(&str, &str)| path != Path::new(name) && path.starts_with(name);
        let kind = match self.0.iter().find(is_file) {
            Some(_) => std::io::ErrorKind::NotADirectory,
            None => std::io::ErrorKind::NotFound,
        };
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| kind.into())
    }

    fn list(&mut self, folder: &Path) -> std::io::Result<Vec<String>> {
        let inside = self.0.iter().filter_map(|(name, _)| Path::new(name).strip_prefix(folder).ok());
        let names: Vec<String> = inside.map(|name| name.display().to_string()).collect();
        if names.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn has_user(&mut self, _: &str) -> Option<bool> {
        None
    }
}

#[test]
fn included_files_stand_where_they_are_included_and_are_found_beside_the_file_that_names_them() {
    let mut disk = Disk(&[
        ("/etc/keepalived/d/b.conf", "b"),
        ("/etc/keepalived/d/a.conf", "a\ninclude x\n"),
        ("/etc/keepalived/d/x", "x"),
        ("/etc/keepalived/d/.hidden.conf", "h"),
        ("/c", "c {"),
    ]);
    let (read, findings) =
        read_on("1\ninclude d/*.conf # why\n include \"/c\"\n2\n}\n@other include /c\n", &mut disk);
    assert_eq!((read.as_str(), findings), ("1; a; x; b; c { 2 }", vec![]));
    let (_, findings) =
        read_on("include nothing\ninclude d/*.nothing\ninclude none/*\ninclude d/a.conf/x\n", &mut disk);
    assert_eq!(findings.len(), 4, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.contains("warning")), "{findings:?}");
}

#[test]
fn what_multiplies_ends_with_an_error() {
    let mut disk = Disk(&[("/etc/keepalived/loop", "include loop\ninclude loop\n")]);
    let bombs = [
        "~SEQ(A, 1, 4000000000) x\n",
        "~SEQ(A,1,65535) ~SEQ(B,1,65535) ~SEQ(C,1,65535) x\n",
        "$A=${A}\n$A\n",
        "$A=${A}${A}\n${A}\n",
        "$A=xxxxxxxxxxxxxxxx\n$B=${A}${A}${A}${A}\n$C=${B}${B}${B}${B}\n$D=${C}${C}${C}${C}\n$E=${D}${D}${D}${D}\n$F=${E}${E}${E}${E}\n${F}${F}\n",
        "$A= \\\n$A \\\n$A\n$A\n",
        "include loop\n",
    ];
    for bomb in bombs {
        let began = std::time::Instant::now();
        let (_, findings) = read_on(bomb, &mut disk);
        assert!(findings.iter().any(|finding| finding.contains("error")), "{bomb}{findings:?}");
        assert!(began.elapsed().as_secs() < 20, "{bomb}");
    }
    let deep = "a {\n".repeat(100_000);
    assert!(read(&deep).1.iter().any(|finding| finding.contains("nested deeper")));
}
