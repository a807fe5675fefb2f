//! Type files: whatever is written there is refused with places and reasons, or served.

use ringback_engine::types::CompiledType;
use serde_json::Value;

/// The bytes are a YAML file.
pub fn run(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let Ok(source) = serde_saphyr::from_str::<Value>(text) else { return };
    match CompiledType::load(&source) {
        Ok(ty) => {
            let again = CompiledType::load(&source).expect("the same again");
            assert_eq!(again.decl.name, ty.decl.name);
            assert!(ty.decl.path.as_str().starts_with('/'), "{:?}", ty.decl.path);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for it in problems {
                assert!(it.pointer.is_empty() || it.pointer.starts_with('/'), "{it:?}");
                assert!(!it.reason.is_empty(), "{it:?}");
            }
        }
    }
}
