use crate::import::Kind;
use crate::import::tests::{acl, checked, file, imported, options, webapi};

use super::*;

#[test]
fn each_module_has_a_file_that_says_where_everything_comes_from() {
    let imported = imported(&[
        acl(
            "Magento_Catalog",
            "<resource id=\"Magento_Catalog::products\" title=\"Products\" sortOrder=\"10\"/>",
        ),
        webapi(
            "Magento_Catalog",
            "<route url=\"/V1/products/:sku\" method=\"PUT\" secure=\"true\"><service class=\"Magento\\Catalog\\Api\\Products\" \
             method=\"save\"/><resources><resource ref=\"Magento_Catalog::products\"/></resources><data><parameter name=\"a.b\" \
             force=\"true\">%customer_id%</parameter></data></route>",
        ),
    ]);

    let files = files(&imported, &options());

    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["magento-Magento_Catalog.toml"]);
    assert_eq!(
        files["magento-Magento_Catalog.toml"],
        "# Resources and routes of Magento_Catalog.\n\
         # Made by `countersign import magento`, which replaces this file the next time: change your own files instead.\n\
         \n# Magento_Catalog/etc/acl.xml:1\n[[resources]]\nid = \"Magento_Backend::admin\"\ntitle = \"Magento_Backend::admin\"\n\
         \n# Magento_Catalog/etc/acl.xml:2\n[[resources]]\nid = \"Magento_Catalog::products\"\ntitle = \"Products\"\n\
         parent = \"Magento_Backend::admin\"\norder = 10\n\
         \n# Magento\\Catalog\\Api\\Products::save (Magento_Catalog/etc/webapi.xml:2)\n[[routes]]\n\
         path = \"/rest/{store?}/V1/products/{sku}\"\nmethods = [\"PUT\"]\nupstream = \"storefront\"\n\
         resources = [\"Magento_Catalog::products\"]\nsecure = true\nencoded_slash = \"allow\"\n\
         force = { \"a.b\" = \"%customer_id%\" }\n"
    );
    assert!(is_made_here(&files["magento-Magento_Catalog.toml"]));
    assert!(!is_made_here("# My own.\n[[routes]]\n"));
}

#[test]
fn no_name_in_a_file_becomes_configuration() {
    let evil = "x&quot;]&#10;[admin]&#10;listen = &quot;0.0.0.0:1";
    let odd = "x\\&quot;] [admin] listen='0.0.0.0:1' # ü \\u0022";
    // A line break in an attribute is refused before; everything else is text.
    assert!(crate::import::xml::parse("a", format!("<a b=\"{evil}\"/>").as_bytes()).is_err());
    let mut files = vec![
        acl(odd, &format!("<resource id=\"{odd}\" title=\"{odd}\"/>")),
        webapi(
            odd,
            &format!(
                "<route url=\"/V1/x\" method=\"GET\"><service class=\"{odd}\" method=\"{odd}\"/><resources><resource \
                 ref=\"Magento_Backend::admin\"/></resources></route>"
            ),
        ),
        file(
            Kind::Integrations,
            odd,
            &format!(
                "<config><integration name=\"{odd}\"><resources><resource name=\"{odd}\"/></resources></integration></config>"
            ),
        ),
    ];
    // A path's name may hold what it likes.
    for one in &mut files {
        one.module = "A\n[admin]\nlisten = \"0.0.0.0:1\"".to_owned();
        one.name = "a\n[admin]\nlisten = \"0.0.0.0:1\"\n/etc/x.xml".into();
    }

    let imported = imported(&files);
    let config = checked(&imported, &options());

    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    let plain = "x\\\"] [admin] listen='0.0.0.0:1' # ü \\u0022";
    assert_eq!(config.resources[1].id, plain);
    assert_eq!(config.integrations[0].name, plain);
}

#[test]
fn modules_whose_names_fold_to_one_file_name_get_their_own() {
    let route = |url: &str| {
        format!("<route url=\"{url}\" method=\"GET\"><resources><resource ref=\"anonymous\"/></resources></route>")
    };
    let integrations = "<config><integration name=\"I\"/></config>";
    let imported = imported(&[
        webapi("A/B", &route("/V1/a")),
        webapi("A_B", &route("/V1/b")),
        webapi("A B", &route("/V1/c")),
        webapi("integrations", &route("/V1/d")),
        file(Kind::Integrations, "x", integrations),
    ]);

    let files = files(&imported, &options());

    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "magento-A_B-2.toml",
            "magento-A_B-3.toml",
            "magento-A_B.toml",
            "magento-integrations-2.toml",
            "magento-integrations.toml"
        ]
    );
    assert!(files["magento-integrations.toml"].contains("[[integrations]]"));
}
