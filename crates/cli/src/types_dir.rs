//! Type files: from YAML or JSON on disk to a declaration, and the four that are built in.
//!
//! Not here: what a declaration may say (`ringback_engine::type_check`).

use ringback_engine::{
    type_check::{TypeProblem, check_all},
    types::CompiledType,
};
use ringback_model::{limits, type_decl::TypeDecl};
use serde_json::Value;
use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The shipped example types, by file name.
const SHIPPED: [(&str, &str); 4] = [
    ("deployment.yaml", include_str!("../../../examples/types/deployment.yaml")),
    ("message.yaml", include_str!("../../../examples/types/message.yaml")),
    ("payment.yaml", include_str!("../../../examples/types/payment.yaml")),
    ("table.yaml", include_str!("../../../examples/types/table.yaml")),
];

/// A file that holds no declaration. `Display` is `file:line:column: reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct TypeFileError {
    /// Which file.
    pub(crate) file: PathBuf,
    /// Line and column, from 1, where the parser knows them.
    pub(crate) place: Option<(u64, u64)>,
    /// What is wrong.
    pub(crate) reason: String,
}

impl fmt::Display for TypeFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.reason)
    }
}

/// Reads one type file: JSON if its name ends in `.json`, else YAML. The declaration is not checked.
///
/// # Errors
/// When it can't be read, is larger than a type file may be, or isn't YAML or JSON.
pub(crate) fn load_type_file(path: &Path) -> Result<Value, TypeFileError> {
    let wrong = |reason: String| TypeFileError { file: path.to_path_buf(), place: None, reason };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|it| wrong(format!("it can't be read: {it}")))?;
    let most = limits::TYPE_FILE_BYTES_MAX as u64;
    file.take(most + 1).read_to_string(&mut text).map_err(|it| wrong(format!("it can't be read: {it}")))?;
    if text.len() as u64 > most {
        return Err(wrong(format!("it is larger than {most} bytes, more than a type file may be")));
    }
    parse(path, &text)
}

/// Reads all type files of a directory (`*.yaml`, `*.yml`, `*.json`), in the order of their names.
///
/// # Errors
/// Every file that can't be read, or the directory.
pub(crate) fn load_types_dir(dir: &Path) -> Result<Vec<(PathBuf, Value)>, Vec<TypeFileError>> {
    let whole = |reason: String| vec![TypeFileError { file: dir.to_path_buf(), place: None, reason }];
    let entries = std::fs::read_dir(dir).map_err(|it| whole(format!("the directory can't be read: {it}")))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|it| whole(format!("the directory can't be read: {it}")))?.path();
        let hidden = path.file_name().is_some_and(|it| it.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(whole("there is no type file in here: none ends in .yaml, .yml or .json".into()));
    }
    if files.len() > limits::TYPES_MAX {
        return Err(whole(format!("{} type files are more than the {} that a server takes", files.len(), limits::TYPES_MAX)));
    }
    files.sort();
    let mut loaded = Vec::new();
    let mut errors = Vec::new();
    for file in files {
        match load_type_file(&file) {
            Ok(value) => loaded.push((file, value)),
            Err(it) => errors.push(it),
        }
    }
    if errors.is_empty() { Ok(loaded) } else { Err(errors) }
}

/// The example types that are built into the binary, by file name, as declarations.
pub(crate) fn shipped_types() -> Vec<(&'static str, Value)> {
    // A test reads all of them, so none is ever left out.
    SHIPPED.iter().filter_map(|(name, text)| Some((*name, parse(Path::new(name), text).ok()?))).collect()
}

/// Everything that is wrong with these files, alone and beside each other, as `file: pointer: reason`.
pub(crate) fn check_files(files: &[PathBuf]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut declarations = Vec::new();
    for file in files {
        match load_type_file(file) {
            Ok(value) => declarations.push((file.clone(), value)),
            Err(it) => problems.push(it.to_string()),
        }
    }
    problems.extend(check(&declarations));
    problems
}

/// [`check_files`] for all of a directory.
pub(crate) fn check_dir(dir: &Path) -> Vec<String> {
    match load_types_dir(dir) {
        Ok(declarations) => check(&declarations),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn check(declarations: &[(PathBuf, Value)]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut checked: Vec<(&Path, TypeDecl)> = Vec::new();
    for (file, value) in declarations {
        match CompiledType::load(value) {
            Ok(it) => checked.push((file, it.decl)),
            Err(found) => problems.extend(found.iter().map(|it| show(file, it))),
        }
    }
    let decls: Vec<&TypeDecl> = checked.iter().map(|(_, it)| it).collect();
    for it in check_all(&decls) {
        // The pointer begins with the type's name. Of two that clash, the later one is said to be wrong.
        let (name, member) = it.pointer.trim_start_matches('/').split_once('/').unwrap_or((&it.pointer, ""));
        let file = checked.iter().rev().find(|(_, decl)| decl.name.as_str() == name).map(|(file, _)| *file);
        problems.push(file.map_or_else(|| it.reason.clone(), |file| format!("{}: /{member}: {}", file.display(), it.reason)));
    }
    problems
}

fn show(file: &Path, problem: &TypeProblem) -> String {
    let pointer = if problem.pointer.is_empty() { "/" } else { &problem.pointer };
    format!("{}: {pointer}: {}", file.display(), problem.reason)
}

fn parse(path: &Path, text: &str) -> Result<Value, TypeFileError> {
    let wrong = |place, reason| TypeFileError { file: path.to_path_buf(), place, reason };
    let value: Value = if path.extension().is_some_and(|it| it == "json") {
        serde_json::from_str(text).map_err(|it| {
            let whole = it.to_string();
            // The parser's own "at line 1 column 2" would only repeat the place.
            let reason = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
            wrong(Some((it.line() as u64, it.column() as u64)), format!("it is not JSON: {reason}"))
        })?
    } else {
        serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).map_err(|it| {
            let it = it.without_snippet();
            let place = it.location().map(|at| (at.line(), at.column())).filter(|(line, _)| *line > 0);
            let whole = it.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            // As for JSON: the place stands in front already.
            let reason = whole.split(" at line ").next().unwrap_or(&whole);
            wrong(place, format!("it is not YAML: {reason}"))
        })?
    };
    if value.is_object() { Ok(value) } else { Err(wrong(None, "it must be a mapping that begins with `type:`".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[test]
    fn the_shipped_types_are_all_there_and_good() {
        let shipped = shipped_types();
        let names: Vec<_> = shipped.iter().map(|(_, it)| it["type"].as_str().unwrap_or_default()).collect();
        assert_eq!(names, ["deployment", "message", "payment", "table"]);
        for (name, it) in &shipped {
            assert!(CompiledType::load(it).is_ok(), "{name}");
        }
        let declarations: Vec<_> = shipped.into_iter().map(|(name, it)| (PathBuf::from(name), it)).collect();
        assert_eq!(check(&declarations), Vec::<String>::new());
    }

    #[test]
    fn yaml_becomes_the_same_values_as_json() {
        let payment = shipped_types().into_iter().find(|(name, _)| *name == "payment.yaml").map(|(_, it)| it).expect("payment");
        assert_eq!(payment["schema"]["properties"]["currency"]["pattern"], "^[a-z]{3}$");
        assert_eq!(payment["lifecycle"]["statuses"]["processing"]["timeout"]["after"], "15m");
        assert_eq!(payment["examples"], serde_json::json!([{"amount": 1999, "currency": "eur"}]));
        let order: Vec<_> = payment["lifecycle"]["statuses"].as_object().expect("an object").keys().collect();
        assert_eq!(order, ["created", "processing", "completed", "failed", "partially_refunded", "refunded"], "the file's order is kept");
    }

    #[track_caller]
    fn refused(name: &str, text: &str, want: Expect) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("a file");
        let found = load_type_file(&file).expect_err("a refusal").to_string();
        want.assert_eq(&found.replace(&dir.path().display().to_string(), "DIR"));
    }

    #[test]
    fn what_is_no_declaration_is_refused_with_its_place() {
        refused("a.yaml", "type: order\nlifecycle: [a\n", expect!["DIR/a.yaml:2:12: it is not YAML: unclosed bracket '['"]);
        refused(
            "a.yaml",
            "type: order\ntype: order\n",
            expect!["DIR/a.yaml:2:1: it is not YAML: duplicate mapping key `type` is not allowed here"],
        );
        refused("a.yaml", "- 1\n", expect!["DIR/a.yaml: it must be a mapping that begins with `type:`"]);
        refused("a.json", "{\"type\": \"order\",\n ]", expect!["DIR/a.json:2:2: it is not JSON: key must be a string"]);
        refused(
            "a.yaml",
            &format!("# {}\n", "x".repeat(limits::TYPE_FILE_BYTES_MAX)),
            expect!["DIR/a.yaml: it is larger than 262144 bytes, more than a type file may be"],
        );
    }

    #[test]
    fn a_directory_is_read_in_order_and_without_what_is_no_type_file() {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in
            [("b.yml", "type: b\n"), ("a.yaml", "type: a\n"), ("c.json", "{\"type\":\"c\"}"), ("README.md", "x"), (".a.yaml", "x")]
        {
            std::fs::write(dir.path().join(name), text).expect("a file");
        }
        let loaded = load_types_dir(dir.path()).expect("three declarations");
        assert_eq!(loaded.iter().map(|(_, it)| it["type"].as_str().unwrap_or_default()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn an_empty_or_missing_directory_is_said_to_be_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = load_types_dir(dir.path()).expect_err("a refusal");
        assert!(empty.iter().any(|it| it.to_string().contains("no type file")), "{empty:?}");
        let missing = load_types_dir(&dir.path().join("nowhere")).expect_err("a refusal");
        assert!(missing.iter().any(|it| it.to_string().contains("can't be read")), "{missing:?}");
    }
}
