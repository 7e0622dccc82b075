//! Metrics as JSON, for operators who have no parser of Prometheus' format at hand.

use serde_json::{Map, Value};

/// Makes `{"name{label=\"value\"}": 1.0, …}` of lines `name{label="value"} 1`. What is no finite
/// number is `null`.
pub(super) fn from_text(text: &str) -> Value {
    let series: Map<String, Value> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), number(value)))
        .collect();
    Value::Object(series)
}

fn number(text: &str) -> Value {
    text.parse::<u64>()
        .map_or_else(|_| text.parse::<f64>().map_or(Value::Null, Value::from), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_series_becomes_a_key() {
        let text = "# HELP a_total what\n# TYPE a_total counter\na_total 18446744073709551615\n\n\
                    b{kind=\"x y\"} 0.5\nc NaN\nd +Inf\n";
        assert_eq!(
            from_text(text),
            json!({"a_total": u64::MAX, "b{kind=\"x y\"}": 0.5, "c": null, "d": null})
        );
    }
}
