//! Type files, and event files beside them in `events/`: from YAML or JSON on disk to a declaration,
//! and the four types that are built in.
//!
//! Not here: what a declaration may say (`ringback_engine::type_check`).

use ringback_engine::{
    catalogue::{self, CompiledEvent},
    evolve,
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
    let files = files_of(dir)?;
    if files.is_empty() {
        return Err(whole("there is no type file in here: none ends in .yaml, .yml or .json".into()));
    }
    if files.len() > limits::TYPES_MAX {
        return Err(whole(format!("{} type files are more than the {} that a server takes", files.len(), limits::TYPES_MAX)));
    }
    load_all(files)
}

/// The directory beside type files whose files declare event types.
const EVENTS_DIR: &str = "events";

/// Reads all event files below a types directory, in the order of their names; none without `events/`.
///
/// # Errors
/// Every file that can't be read, or the directory.
pub(crate) fn load_events_dir(types: &Path) -> Result<Vec<(PathBuf, Value)>, Vec<TypeFileError>> {
    let dir = types.join(EVENTS_DIR);
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let files = files_of(&dir)?;
    if files.len() > limits::EVENT_FILES_MAX {
        let reason = format!("{} event files are more than the {} that a server takes", files.len(), limits::EVENT_FILES_MAX);
        return Err(vec![TypeFileError { file: dir, place: None, reason }]);
    }
    load_all(files)
}

/// The files of a directory that may hold declarations, in the order of their names.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>, Vec<TypeFileError>> {
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
    files.sort();
    Ok(files)
}

fn load_all(files: Vec<PathBuf>) -> Result<Vec<(PathBuf, Value)>, Vec<TypeFileError>> {
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
    let (mut declarations, mut events) = (Vec::new(), Vec::new());
    for file in files {
        let of_events = file.parent().and_then(Path::file_name).is_some_and(|it| it == EVENTS_DIR);
        match load_type_file(file) {
            Ok(value) if of_events => events.push((file.clone(), value)),
            Ok(value) => declarations.push((file.clone(), value)),
            Err(it) => problems.push(it.to_string()),
        }
    }
    problems.extend(check(&declarations, &events));
    problems
}

/// [`check_files`] for all of a directory.
pub(crate) fn check_dir(dir: &Path) -> Vec<String> {
    match (load_types_dir(dir), load_events_dir(dir)) {
        (Ok(declarations), Ok(events)) => check(&declarations, &events),
        (types, events) => {
            let errors = types.err().into_iter().chain(events.err()).flatten();
            errors.map(|it| it.to_string()).collect()
        }
    }
}

/// What these files, or a directory's, take away from the types of `before`: what stored resources may use,
/// as `file: pointer: reason`. Whether any does, only the server that has them can say.
pub(crate) fn narrowings(files: &[PathBuf], before: &Path) -> Result<Vec<String>, Vec<TypeFileError>> {
    let load = |path: &PathBuf| {
        if path.is_dir() { load_types_dir(path) } else { load_type_file(path).map(|it| vec![(path.clone(), it)]).map_err(|it| vec![it]) }
    };
    let mut after = Vec::new();
    for path in files {
        after.extend(load(path)?);
    }
    let whole = files.iter().any(|it| it.is_dir());
    let mut out = Vec::new();
    for (file, old) in load(&before.to_path_buf())? {
        let Ok(old) = CompiledType::load(&old) else { continue };
        let same =
            after.iter().filter_map(|(file, it)| Some((file, CompiledType::load(it).ok()?))).find(|(_, it)| it.decl.name == old.decl.name);
        match same {
            Some((file, new)) => out.extend(evolve::narrowings(&old.decl, &new.decl).iter().map(|it| show(file, it))),
            None if whole => out.push(format!("{}: no file declares the type `{}` any more", file.display(), old.decl.name)),
            None => {}
        }
    }
    Ok(out)
}

fn check(declarations: &[(PathBuf, Value)], events: &[(PathBuf, Value)]) -> Vec<String> {
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
    let mut known: Vec<(&Path, CompiledEvent)> = Vec::new();
    for (file, value) in events {
        match CompiledEvent::load(value) {
            Ok(it) => known.push((file, it)),
            Err(found) => problems.extend(found.iter().map(|it| show(file, it))),
        }
    }
    let names: Vec<&str> = decls.iter().map(|it| it.name.as_str()).collect();
    for it in catalogue::check_all(&known.iter().map(|(_, it)| it).collect::<Vec<_>>(), &names) {
        let (name, member) = it.pointer.trim_start_matches('/').split_once('/').unwrap_or((&it.pointer, ""));
        let file = known.iter().rev().find(|(_, it)| it.event_type.as_str() == name).map(|(file, _)| *file);
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
        assert_eq!(check(&declarations, &[]), Vec::<String>::new());
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

    fn write(dir: &Path, name: &str, text: &str) {
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
        std::fs::write(file, text).expect("a file");
    }

    #[test]
    fn event_files_are_checked_beside_the_types() {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), "order.yaml", "type: order\nlifecycle: created -> paid\n");
        write(dir.path(), "events/shipment.yaml", "type: shipment.left\nschema: { type: object, required: [id] }\nexample: { id: 7 }\n");
        assert_eq!(check_dir(dir.path()), Vec::<String>::new());
        assert_eq!(load_events_dir(dir.path()).expect("one").len(), 1);
        write(dir.path(), "events/bad.yaml", "type: order.shipped\n");
        write(dir.path(), "events/worse.yaml", "type: shipment.lost\nexampel: {}\nschema: { type: nothing }\n");
        let found = check_dir(dir.path()).join("\n").replace(&dir.path().display().to_string(), "DIR");
        expect![[r#"
            DIR/events/worse.yaml: /exampel: there is no `exampel` here; did you mean `example`?
            DIR/events/bad.yaml: /type: events named `order.…` are made by the type `order`; take another name"#]]
        .assert_eq(&found);
    }

    #[test]
    fn what_a_new_directory_takes_away_is_said() {
        let (old, new) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        write(old.path(), "order.yaml", "type: order\nlifecycle: created -> paid -> shipped\n");
        write(old.path(), "parcel.yaml", "type: parcel\nlifecycle: packed -> sent\n");
        write(new.path(), "order.yaml", "type: order\nlifecycle: created -> shipped\n");
        let found = narrowings(&[new.path().to_path_buf()], old.path()).expect("they load").join("\n");
        let found = found.replace(&new.path().display().to_string(), "NEW").replace(&old.path().display().to_string(), "OLD");
        expect![[r#"
            NEW/order.yaml: /lifecycle/statuses/paid: the status `paid` is gone
            OLD/parcel.yaml: no file declares the type `parcel` any more"#]]
        .assert_eq(&found);
        assert_eq!(narrowings(&[old.path().to_path_buf()], old.path()), Ok(Vec::new()));
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
