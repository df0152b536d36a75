//! Where pages lead, and that the book has all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::page::{self, Kind, Page, root};

/// Hides from mdBook that a file outside the book is Markdown.
const ENCODED_DOT: &str = "%2E";

/// The path that one leads to from beside another.
fn beside(page: &Path, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let joined = page.with_file_name(link.replace(ENCODED_DOT, "."));
    for part in joined.components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{link} leads out of the repository"),
            part => path.push(part),
        }
    }
    path
}

#[test]
fn every_link_leads_somewhere() {
    let pages = page::all();
    let read = pages.iter().map(|path| (path.clone(), Page::read(path)));
    let pages: BTreeMap<_, _> = read.collect();
    let mut nowhere = Vec::new();
    for (path, page) in &pages {
        for link in &page.links {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() {
                path.clone()
            } else {
                beside(path, file)
            };
            let leads = match pages.get(&file) {
                Some(page) => anchor.is_empty() || page.anchors.contains(anchor),
                None => anchor.is_empty() && root().join(&file).exists(),
            };
            if !leads {
                nowhere.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(nowhere.is_empty(), "{nowhere:#?}");
}

/// mdBook makes `.html` of every `.md`, and only the pages of the book become that.
#[test]
fn what_is_no_page_of_the_book_is_not_linked_as_one() {
    let pages = page::of_the_book();
    let mut dead = Vec::new();
    for path in &pages {
        for link in Page::read(path).links {
            let (file, _) = link.split_once('#').unwrap_or((&link, ""));
            let is_markdown = Path::new(file).extension().is_some_and(|it| it == "md");
            if !link.contains("://") && is_markdown && !pages.contains(&beside(path, file)) {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "write {ENCODED_DOT}md: {dead:#?}");
}

/// Who reads a page as it is finds a link where mdBook puts a file.
#[test]
fn beside_what_is_included_is_a_link_to_it() {
    let mut missing = Vec::new();
    for path in page::of_the_book() {
        let page = Page::read(&path);
        for file in &page.included {
            if !page.links.contains(file) {
                missing.push(format!("{}: {file}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_book_has_every_page_once() {
    let summary = Page::read(Path::new("docs/SUMMARY.md"));
    let listed: Vec<_> = summary
        .links
        .iter()
        .map(|link| Path::new("docs").join(link))
        .collect();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "{listed:?}");
    assert_eq!(once, page::of_the_book().into_iter().collect());
}

#[test]
fn nothing_stands_in_a_page_that_nobody_knows_what_to_do_with() {
    let mut unknown = Vec::new();
    for path in page::all() {
        for block in Page::read(&path).blocks {
            if let Kind::Unknown(fence) = block.kind {
                unknown.push(format!("{}:{}: `{fence}`", path.display(), block.line));
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "CONTRIBUTING.md lists the fences there are: {unknown:#?}"
    );
}
