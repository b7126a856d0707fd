use super::*;

/// All five tables, as `mysqldump --compact --no-create-info` writes them, with the last line that it leaves out.
pub(in crate::import) const ROWS: &str = r"
INSERT INTO `authorization_role` VALUES (1,0,1,1,'G',0,'2','Administrators'),(2,1,2,0,'U',1,'2','admin'),(31,0,0,0,'U',7,'1','17'),(32,0,0,0,'U',8,'1','18');
INSERT INTO `authorization_rule` VALUES (1,1,'Magento_Backend::all',NULL,'allow'),(10,31,'Magento_Backend::admin',NULL,'allow'),(11,31,'Magento_Catalog::products',NULL,'allow'),(12,31,'Magento_Sales::sales',NULL,'deny'),(13,32,'Magento_Backend::all',NULL,'allow');
INSERT INTO `integration` VALUES (7,'Shop sync','sync@p.example','https://p.example/cb',1,70,'2024-01-02 03:04:05','2024-02-02 03:04:05',0,'https://p.example/login'),(8,'All','',NULL,0,80,'2024-01-02 03:04:05','0000-00-00 00:00:00',1,NULL);
INSERT INTO `oauth_consumer` VALUES (70,'2024-01-02 03:04:05','2024-01-02 03:05:00','Integration7','kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk70','ssssssssssssssssssssssssssssss70',NULL,''),(80,'2024-01-02 03:04:05','0000-00-00 00:00:00','Integration8','kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk80','ssssssssssssssssssssssssssssss80',NULL,'');
INSERT INTO `oauth_token` VALUES (5,70,NULL,NULL,'access','tttttttttttttttttttttttttttttt70','uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu70','vvvvvvvvvvvvvvvvvvvvvvvvvvvvvv70','oob',0,0,1,'2024-01-02 03:06:00'),(6,NULL,1,NULL,'access','tttttttttttttttttttttttttttttt06','uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu06',NULL,'',0,0,2,'2024-01-02 03:06:00'),(9,NULL,NULL,4,'access','tttttttttttttttttttttttttttttt09','uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu09',NULL,'',0,0,3,'2024-01-02 03:06:00');
-- Dump completed
";

fn counted(text: &str, prefix: &str) -> Result<(usize, usize, usize), String> {
    read(text.as_bytes(), prefix)
        .map(|dump| dump.counts())
        .map_err(|error| error.to_string())
}

#[test]
fn rows_without_columns_are_in_the_storefront_s_own_order() {
    let dump = read(ROWS.as_bytes(), "").unwrap();

    assert_eq!(dump.counts(), (2, 2, 1));
    let one = &dump.integrations[0];
    assert_eq!(
        (one.id, one.name.as_str(), one.status, one.consumer, one.setup_type),
        (7, "Shop sync", 1, Some(70), 0)
    );
    assert_eq!(one.identity_link_url.as_deref(), Some("https://p.example/login"));
    assert_eq!(
        (dump.consumers[1].id, dump.consumers[1].callback_url.as_deref()),
        (80, None)
    );
    assert_eq!(dump.roles, BTreeMap::from([(7, 31), (8, 32)]));
    assert_eq!(dump.rules[&31].get("Magento_Sales::sales"), Some(&false));
    assert_eq!((dump.users_tokens, dump.has_tokens), (2, true));
}

#[test]
fn columns_of_the_statement_and_of_create_table_go_before_that_order() {
    let listed = ROWS.replace(
        "INSERT INTO `authorization_rule` VALUES (1,1,'Magento_Backend::all',NULL,'allow')",
        "INSERT INTO authorization_rule (permission, resource_id, role_id, extra) VALUES ('allow','Magento_Backend::all',1,'x');\n\
         INSERT INTO `authorization_rule` VALUES (2,1,'Magento_Backend::all',NULL,'allow')",
    );
    assert_eq!(counted(&listed, ""), Ok((2, 2, 1)));

    let created = format!(
        "CREATE TABLE `integration` (`vendor` text, `integration_id` int, `name` text, `email` text, `endpoint` text, `status` int, \
         `consumer_id` int, `created_at` timestamp, `updated_at` timestamp, `setup_type` int, `identity_link_url` text, PRIMARY KEY \
         (`integration_id`));\n{}",
        ROWS.replace("(7,'Shop sync'", "('v',7,'Shop sync'")
            .replace("(8,'All'", "(NULL,8,'All'")
    );
    assert_eq!(counted(&created, ""), Ok((2, 2, 1)));

    let unknown = ROWS.replace("(7,'Shop sync'", "('v',7,'Shop sync'");
    let error = counted(&unknown, "").unwrap_err();
    assert!(
        error.starts_with("line 4: a row of integration has 11 values"),
        "{error}"
    );
}

#[test]
fn a_prefix_is_taken_off_and_suggested_where_it_was_not_given() {
    let prefixed = ROWS.replace("INTO `", "INTO `mg_");

    assert_eq!(counted(&prefixed, "mg_"), Ok((2, 2, 1)));
    let error = counted(&prefixed, "").unwrap_err();
    assert!(
        error.contains("holds nothing of integration, oauth_consumer, authorization_role, authorization_rule"),
        "{error}"
    );
    assert!(error.ends_with("--table-prefix mg_"), "{error}");
}

#[test]
fn a_missing_table_is_an_error_before_anything_is_granted_by_its_absence() {
    let lines: Vec<&str> = ROWS
        .lines()
        .filter(|line| !line.contains("authorization_rule"))
        .collect();

    let error = counted(&lines.join("\n"), "").unwrap_err();

    assert!(
        error.starts_with("holds nothing of authorization_rule: export integration, oauth_consumer"),
        "{error}"
    );
}

#[test]
fn rows_that_make_no_sense_are_refused_with_their_line() {
    for (from, to, what) in [
        (
            "(7,'Shop sync'",
            "('x','Shop sync'",
            "line 4: integration: integration_id is no number",
        ),
        (
            "(7,'Shop sync'",
            "(NULL,'Shop sync'",
            "line 4: integration: integration_id is NULL",
        ),
        ("'Shop sync'", "0xFF", "line 4: integration: name isn't UTF-8"),
        (
            "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk70'",
            "NULL",
            "line 5: oauth_consumer: key is NULL",
        ),
    ] {
        let error = counted(&ROWS.replace(from, to), "").unwrap_err();
        assert!(error.starts_with(what), "{error}");
    }
    let part = "INSERT INTO integration (name) VALUES ('x')";
    assert!(
        counted(part, "")
            .unwrap_err()
            .contains("a row without its column integration_id")
    );
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let dump = format!("{:?}", read(ROWS.as_bytes(), "").unwrap());

    assert!(
        !dump.contains("ssssss") && !dump.contains("uuuuuu") && !dump.contains("vvvvvv"),
        "{dump}"
    );
}
