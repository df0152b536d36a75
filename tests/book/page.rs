//! A page of the documentation, as its Markdown says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Where the documentation is, and all that it speaks of.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub struct Page {
    /// From the root, as `docs/api.md`.
    pub path: PathBuf,
    pub blocks: Vec<Block>,
    /// Where its links and pictures lead.
    pub links: Vec<String>,
    /// The files that mdBook puts into it.
    pub included: Vec<String>,
    /// What a link can name of it after a `#`.
    pub anchors: BTreeSet<String>,
}

/// What stands between fences, or in a comment.
pub struct Block {
    pub line: usize,
    pub kind: Kind,
    pub text: String,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sh`: commands, all of which succeed.
    Script,
    /// `console`: commands after a `$`, and what they say.
    Session,
    /// Commands in a comment: what a page's commands stand on, of which it does not speak.
    Preparation,
    /// `…,file=NAME`: what readers write to a file.
    File(String),
    /// `toml`: a configuration.
    Settings,
    /// `sh,not-run`: commands that the tests do not run.
    NotRun,
    /// Something to read, in a language.
    Text,
    /// Nobody knows what is to be done with it.
    Unknown(String),
}

const LANGUAGES: [&str; 26] = [
    "caddyfile",
    "diff",
    "dockerfile",
    "hcl",
    "html",
    "http",
    "ini",
    "java",
    "js",
    "json",
    "jsx",
    "lua",
    "markdown",
    "nginx",
    "promql",
    "python",
    "rust",
    "sh",
    "sql",
    "text",
    "toml",
    "ts",
    "tsx",
    "typescript",
    "xml",
    "yaml",
];

impl Kind {
    fn of(fence: &str) -> Self {
        let (language, what) = fence.split_once(',').unwrap_or((fence, ""));
        match (language, what) {
            ("sh", "") => Self::Script,
            ("console", "") => Self::Session,
            ("toml", "") => Self::Settings,
            ("sh" | "console", "not-run") => Self::NotRun,
            (language, what) if LANGUAGES.contains(&language) => match what.strip_prefix("file=") {
                Some(name) => Self::File(name.to_owned()),
                None if what.is_empty() => Self::Text,
                None => Self::Unknown(fence.to_owned()),
            },
            _ => Self::Unknown(fence.to_owned()),
        }
    }

    /// Whether it is typed into a shell.
    pub const fn is_typed(&self) -> bool {
        matches!(
            self,
            Self::Script | Self::Session | Self::Preparation | Self::File(_)
        )
    }
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(root().join(path)).expect("a page");
        let (text, included) = with_included(&text, &root().join(path));
        let mut page = Self {
            path: path.to_owned(),
            blocks: Vec::new(),
            links: Vec::new(),
            included,
            anchors: BTreeSet::new(),
        };
        let (mut heading, mut block) = (None::<String>, None::<Block>);
        let events = Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter();
        for (event, place) in events {
            let line = text[..place.start].matches('\n').count() + 1;
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let kind = match kind {
                        CodeBlockKind::Fenced(fence) => Kind::of(&fence),
                        CodeBlockKind::Indented => Kind::Unknown("indented".to_owned()),
                    };
                    let text = String::new();
                    block = Some(Block { line, kind, text });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::HtmlBlock) => {
                    let (kind, text) = (Kind::Preparation, String::new());
                    block = Some(Block { line, kind, text });
                }
                Event::End(TagEnd::HtmlBlock) => {
                    let comment = block.take().expect("it has begun");
                    let commands = comment.text.trim().strip_prefix("<!-- sh\n");
                    if let Some(text) = commands.and_then(|text| text.strip_suffix("-->")) {
                        let text = text.to_owned();
                        page.blocks.push(Block { text, ..comment });
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let heading = heading.take().expect("it has begun");
                    page.anchors.insert(anchor(&heading, &page.anchors));
                }
                Event::Text(text) | Event::Code(text) | Event::Html(text) => {
                    for open in heading
                        .iter_mut()
                        .chain(block.as_mut().map(|it| &mut it.text))
                    {
                        open.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }
}

/// With the files in it that mdBook would put there, and which these are.
fn with_included(text: &str, path: &Path) -> (String, Vec<String>) {
    let mut parts = text.split("\n{{#include ");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    let mut files = Vec::new();
    for part in parts {
        let (file, rest) = part.split_once("}}").expect("an end");
        files.push(file.to_owned());
        let file = path.with_file_name(file);
        let included = fs::read_to_string(&file);
        let included =
            included.unwrap_or_else(|_| panic!("{} includes {}", path.display(), file.display()));
        whole.push('\n');
        whole.push_str(included.trim_end());
        whole.push_str(rest);
    }
    (whole, files)
}

/// What a heading is called in a link, by mdBook as by GitHub.
fn anchor(heading: &str, taken: &BTreeSet<String>) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    });
    let name: String = kept.flat_map(char::to_lowercase).collect();
    let numbered = (1..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !taken.contains(name)).expect("a name")
}

/// The files of a folder, and of those in it, that end so.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let mut found = Vec::new();
    for entry in entries.map(|entry| entry.unwrap()) {
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

/// The pages of the book, by the files that there are.
pub fn of_the_book() -> Vec<PathBuf> {
    let mut pages = files(Path::new("docs"), "md");
    pages.retain(|page| !page.ends_with("SUMMARY.md"));
    pages
}

/// All pages that people read.
pub fn all() -> Vec<PathBuf> {
    let beside = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ];
    let mut pages = of_the_book();
    pages.extend(beside.map(PathBuf::from));
    pages
}
