//! `--avro-codec-path`: whether a schema file means the schema that is built in.

use serde_json::{Map, Value};

/// Largest schema file that is read, in bytes. The network's has some 20 thousand.
pub(super) const MAX_LEN: u64 = 1 << 20;

/// The attributes that decide what bytes a value becomes. Documentation, namespaces, defaults and
/// logical types do not.
const ATTRIBUTES: [&str; 7] = ["type", "name", "fields", "symbols", "items", "values", "size"];

/// Checks that segments of the built-in schema are segments of this one. The error says what is
/// wrong in one line.
pub(super) fn check(text: &str) -> Result<(), String> {
    let given = parsed(text)?;
    let built_in = parsed(bsp_codec::avro::SCHEMA)?;
    if meaning(given) == meaning(built_in) {
        return Ok(());
    }
    Err("another schema than codec 0.38, the one that is built in: give block-ethereum.avsc of that version, or leave the \
         setting out"
        .to_owned())
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))
}

/// A schema without what does not matter: primitive types in their short form, records without
/// names of their own, and `int` as `long`, which is written alike. Its depth is bounded by the
/// parser.
fn meaning(schema: Value) -> Value {
    match schema {
        Value::Array(items) => Value::Array(items.into_iter().map(meaning).collect()),
        Value::Object(attributes) => meaning_of_object(attributes),
        Value::String(name) if name == "int" => "long".into(),
        other => other,
    }
}

fn meaning_of_object(attributes: Map<String, Value>) -> Value {
    let is_record = attributes.get("type").is_some_and(|kind| kind == "record");
    let mut kept: Map<String, Value> = attributes
        .into_iter()
        .filter(|(name, _)| ATTRIBUTES.contains(&name.as_str()) && !(is_record && name == "name"))
        .map(|(name, value)| if name == "name" { (name, value) } else { (name, meaning(value)) })
        .collect();
    if kept.len() == 1 && kept.get("type").is_some_and(Value::is_string) {
        kept.remove("type").unwrap_or_default()
    } else {
        Value::Object(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_schema_is_itself() {
        check(bsp_codec::avro::SCHEMA).unwrap();
    }

    #[test]
    fn what_does_not_change_bytes_may_differ() {
        let mut schema = parsed(bsp_codec::avro::SCHEMA).unwrap();
        schema["doc"] = "other words".into();
        // As the network's own file has them.
        schema["namespace"] = "com.covalenthq.brp.avro".into();
        schema["name"] = "ReplicationSegment".into();
        let event = &mut schema["fields"][0]["type"]["items"]["fields"];
        assert_eq!(event[0]["type"], "string");
        event[0]["type"] = serde_json::json!({ "type": "string", "logicalType": "x" });
        let network_id = &mut event[1]["type"]["fields"][1]["type"];
        assert_eq!(*network_id, "int");
        *network_id = "long".into();
        check(&schema.to_string()).unwrap();
    }

    #[test]
    fn another_field_or_order_is_another_schema() {
        for spoil in [
            |fields: &mut Vec<Value>| fields.reverse(),
            |fields: &mut Vec<Value>| drop(fields.pop()),
            |fields: &mut Vec<Value>| fields[0]["name"] = "other".into(),
            |fields: &mut Vec<Value>| fields[0]["type"] = "bytes".into(),
        ] {
            let mut schema = parsed(bsp_codec::avro::SCHEMA).unwrap();
            spoil(schema["fields"].as_array_mut().unwrap());
            let error = check(&schema.to_string()).unwrap_err();
            assert!(error.contains("codec 0.38"), "{error}");
        }
    }

    #[test]
    fn what_is_no_schema_is_told() {
        assert!(check("{").unwrap_err().starts_with("no JSON"));
        assert!(check(&"[".repeat(100_000)).unwrap_err().starts_with("no JSON"));
        assert!(check("7").is_err());
    }
}
