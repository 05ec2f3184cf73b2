//! The house: no module imports one beside it that imports it back, so that each can be read, tested and moved alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn no_module_imports_one_that_imports_it_back() {
    let mut found = Vec::new();
    for room in ["src", "planner/src", "testbed/src"] {
        let mut files = Files::new();
        read(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(room),
            &mut Vec::new(),
            &mut files,
        );
        assert!(files.len() > 3, "{room} has only {} files", files.len());
        found.extend(circles(&files).iter().map(|circle| format!("{room}/{circle}")));
    }
    assert!(found.is_empty(), "modules that import each other: {found:?}");
}

#[test]
fn a_circle_is_found_however_its_imports_are_written() {
    let files = |texts: &[(&str, &str)]| -> Files {
        let module = |name: &str| {
            name.split('/')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        };
        texts
            .iter()
            .map(|(name, text)| (module(name), code(text)))
            .collect()
    };
    let back = ("b", "fn f() -> crate::a::A {}");
    for (text, told) in [
        ("use super::b;", vec!["a, b"]),
        ("use crate::{d::D, b::{self, B}};", vec!["a, b"]),
        ("use super::c::C;", vec!["a, b, c"]),
        ("use super::HandedOn;", vec!["a, b"]),
        ("use super::OfTheRoot;", vec![]),
        ("// use super::b;", vec![]),
        ("#[cfg(test)]\nmod tests {\n    use crate::b;\n}\n", vec![]),
    ] {
        let root = ("", "mod a;\nmod b;\nmod c;\npub use b::HandedOn;");
        let found = circles(&files(&[root, ("a", text), back, ("c", "use super::b::B;")]));
        assert_eq!(found, told, "{text}");
    }
    let deep = [
        ("", ""),
        ("d", ""),
        ("d/a", "use super::b::B;"),
        ("d/b", "use crate::d::c;"),
        ("d/c", ""),
    ];
    assert!(circles(&files(&deep)).is_empty());
}

/// A module by its names, from below the root of its crate.
type Module = Vec<String>;

/// The code of each module.
type Files = BTreeMap<Module, String>;

/// Reads the modules below a directory. What is in `bin` are programs, and import nothing of each other.
fn read(directory: &Path, at: &mut Module, files: &mut Files) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "bin" {
            at.push(name);
            read(&path, at, files);
            at.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut module = at.clone();
            if !matches!(name.as_str(), "mod" | "lib" | "main") {
                module.push(name);
            }
            let text = std::fs::read_to_string(&path).unwrap();
            files.entry(module).or_default().push_str(&code(&text));
        }
    }
}

/// A file without its comments and its tests, which clippy has at the end.
fn code(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let code = lines.collect::<Vec<_>>().join(" ");
    let tests = code.match_indices("#[cfg(test)] mod ").find(|(at, _)| {
        let name = code[*at..].find(['{', ';']);
        name.is_some_and(|end| code[at + end..].starts_with('{'))
    });
    code[..tests.map_or(code.len(), |(at, _)| at)].to_owned()
}

/// The circles among modules that stand beside each other, as `parent/: one, other`.
fn circles(files: &Files) -> Vec<String> {
    let mut imports: BTreeMap<&[String], BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
    for (module, code) in files.iter().filter(|(module, _)| !is_test(files, module)) {
        for target in paths(code).iter().filter_map(|path| resolve(files, module, path)) {
            let alike = |(one, other): &(&String, &String)| one == other;
            let shared = module.iter().zip(&target).take_while(alike).count();
            // A module and those inside it are one thing.
            if let (Some(from), Some(to)) = (module.get(shared), target.get(shared)) {
                let beside = imports.entry(&module[..shared]).or_default();
                beside.entry(from).or_default().insert(to.clone());
            }
        }
    }
    let mut found = Vec::new();
    for (parent, beside) in imports {
        let mut told = BTreeSet::new();
        for from in beside.keys() {
            let there = reachable(&beside, from);
            let back = |to: &&str| reachable(&beside, to).contains(from);
            let circle: Vec<&str> = there.into_iter().filter(back).collect();
            if !circle.is_empty() && told.insert(circle.clone()) {
                let parent: String = parent.iter().map(|name| format!("{name}/")).collect();
                found.push(format!("{parent}{}", circle.join(", ")));
            }
        }
    }
    found
}

/// Whether a module, or one that it is in, is compiled for tests only.
fn is_test(files: &Files, module: &[String]) -> bool {
    module.split_last().is_some_and(|(name, parent)| {
        let declared = format!("#[cfg(test)] mod {name};");
        files.get(parent).is_some_and(|code| code.contains(&declared)) || is_test(files, parent)
    })
}

fn reachable<'a>(beside: &'a BTreeMap<&str, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = beside.get(from).into_iter().flatten().collect();
    while let Some(name) = next.pop() {
        if reached.insert(name.as_str()) {
            next.extend(beside.get(name.as_str()).into_iter().flatten());
        }
    }
    reached
}

/// The module that a path leads to; `None` when it leaves the crate.
fn resolve(files: &Files, from: &[String], path: &[String]) -> Option<Module> {
    let mut at = from.to_vec();
    for (number, segment) in path.iter().enumerate() {
        match segment.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()?),
            "self" => {}
            name => {
                at.push(name.to_owned());
                if !files.contains_key(&at) {
                    at.pop();
                    // An item of this module, or one that it hands on from another.
                    let named = |path: &Vec<String>| path.last().is_some_and(|last| last == name);
                    let from = handed_on(&files[&at]).into_iter().find(named);
                    return match from.and_then(|from| resolve(files, &at, &from[..from.len() - 1])) {
                        None if number == 0 => None,
                        None => Some(at),
                        other => other,
                    };
                }
            }
        }
    }
    Some(at)
}

/// Every path that begins with `crate`, `super` or `self`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in ["crate::", "super::", "self::"]
        .into_iter()
        .flat_map(|word| code.match_indices(word))
    {
        let goes_on = code[..at].ends_with(|last| is_part(last) || last == ':');
        if !goes_on {
            tree(&code[at..], &[], &mut found);
        }
    }
    found
}

/// Every path of a `pub use`.
fn handed_on(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("pub") {
        let after = code[at..].trim_start_matches("pub");
        let after = after
            .split_once(')')
            .filter(|_| after.starts_with('('))
            .map_or(after, |(_, after)| after);
        if let Some(path) = after.strip_prefix(" use ") {
            tree(path, &[], &mut found);
        }
    }
    found
}

/// Reads a path, or a tree of them such as `a::{b, c::d as e}`, and gives what comes after it.
fn tree<'a>(mut text: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let mut path = before.to_vec();
    loop {
        if let Some(group) = text.strip_prefix('{') {
            text = group;
            while !text.is_empty() {
                text = tree(text.trim_start(), &path, found)
                    .trim_start_matches(|letter| !matches!(letter, ',' | '}'));
                match text.strip_prefix(',') {
                    Some(next) => text = next,
                    None => return text.get(1..).unwrap_or_default(),
                }
            }
            return text;
        }
        let (name, rest) = text.split_at(text.find(|letter| !is_part(letter)).unwrap_or(text.len()));
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        match rest.strip_prefix("::") {
            Some(more) => text = more,
            None => {
                found.push(path);
                return rest;
            }
        }
    }
}

fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}
