// SPDX-License-Identifier: GPL-2.0-only

//! Each directory of `cases` is about one rule. Its `ok.rs` keeps to the rule and compiles. The
//! other files break it and do not compile; the `.stderr` beside each has the reason.

use std::fs;
use std::path::{
    Path,
    PathBuf, //
};

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn cases() {
    let runner = trybuild::TestCases::new();

    for rule in files(Path::new("cases")) {
        let (sources, messages): (Vec<_>, Vec<_>) = files(&rule)
            .into_iter()
            .partition(|path| path.extension().is_some_and(|extension| extension == "rs"));
        let (good, bad): (Vec<_>, Vec<_>) = sources
            .into_iter()
            .partition(|path| path.ends_with("ok.rs"));

        assert_eq!(good.len(), 1, "{} has no ok.rs", rule.display());
        assert!(!bad.is_empty(), "{} has only ok.rs", rule.display());
        for message in messages {
            assert!(
                message.with_extension("rs").exists(),
                "{} is left over",
                message.display()
            );
        }
        good.iter().for_each(|path| runner.pass(path));
        bad.iter().for_each(|path| runner.compile_fail(path));
    }
}
