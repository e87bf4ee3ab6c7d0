/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct http_request get(const char *path)
{
    return (struct http_request){.method = HTTP_GET, .path = span_of_string(path)};
}

static char *on_the_wire(const struct http_response *response, bool head_only)
{
    struct buffer out = BUFFER_INIT;
    http_response_append(&out, response, head_only);
    buffer_append_char(&out, '\0');
    assert_int_equal(buffer_error(&out), 0);
    return out.data;
}

static void test_refusals_carry_code_message_and_retry_after(void **state)
{
    (void)state;
    struct http_refusal refusal;
    struct http_response response;
    http_refusal_set(&refusal, 503, "unavailable", "the %s is away", "broker");
    refusal.retry_after = 3;
    refusal.error.retryable = true;
    http_response_refuse(&response, &refusal);
    char *text = on_the_wire(&response, false);
    assert_true(strncmp(text, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0);
    assert_non_null(strstr(text, "\r\nRetry-After: 3\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(
        strstr(text, "\r\n\r\n{\"error\":{\"code\":\"unavailable\",\"message\":\"the broker "
                     "is away\",\"retryable\":true}}\n"));
    free(text);
    http_response_deinit(&response);
}

static void test_every_response_tells_browsers_to_be_strict(void **state)
{
    (void)state;
    struct http_response response;
    http_response_health(&response, 200, "live", NULL);
    char *text = on_the_wire(&response, false);
    assert_non_null(strstr(text, "Content-Security-Policy: default-src 'self'; connect-src 'self' "
                                 "ws: wss:"));
    assert_non_null(strstr(text, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(text, "Connection: close\r\n"));
    free(text);
    http_response_deinit(&response);
}

static void test_head_gets_the_length_and_no_body(void **state)
{
    (void)state;
    struct http_response response;
    http_response_health(&response, 200, "live", NULL);
    char *text = on_the_wire(&response, true);
    assert_non_null(strstr(text, "Content-Length: 18\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
    http_response_deinit(&response);
}

static void test_page_is_built_in_and_known_by_its_etag(void **state)
{
    (void)state;
    struct http_response response;
    struct http_request request = get("/");
    char etag[40];
    http_response_page(&response, &request, "");
    assert_int_equal(response.status, 200);
    assert_string_equal(response.content_type, "text/html; charset=utf-8");
    assert_true(response.body.len > 100);
    snprintf(etag, sizeof(etag), "%s", response.etag);
    http_response_deinit(&response);
    request.if_none_match = span_of_string(etag);
    http_response_page(&response, &request, "");
    assert_int_equal(response.status, 304);
    assert_int_equal(response.body.len, 0);
    http_response_deinit(&response);
}

static void test_page_has_only_plain_files_of_known_types(void **state)
{
    (void)state;
    const char *const missing[] = {"/nothing.html", "/../http.c", "/..%2fhttp.c", "/a/b.js",
        "/.hidden.js", "/.js", "//", "/package.json", "/index.html/", "/INDEX.HTML"};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        struct http_response response;
        const struct http_request request = get(missing[i]);
        http_response_page(&response, &request, "");
        assert_int_equal(response.status, 404);
        assert_non_null(strstr(response.body.data, "\"code\":\"not_found\""));
        http_response_deinit(&response);
    }
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_page_comes_from_a_folder_when_one_is_named(void **state)
{
    (void)state;
    char folder[] = "/tmp/ringside-web-XXXXXX";
    char path[200];
    struct http_response response;
    assert_non_null(mkdtemp(folder));
    write_file(folder, "index.html", "<p>mine</p>");
    write_file(folder, "secret.key", "hidden");
    struct http_request request = get("/");
    http_response_page(&response, &request, folder);
    assert_int_equal(response.status, 200);
    assert_true(span_is(response.body, "<p>mine</p>"));
    http_response_deinit(&response);
    request = get("/secret.key");
    http_response_page(&response, &request, folder);
    assert_int_equal(response.status, 404);
    http_response_deinit(&response);
    request = get("/ringside.js"); /* built in, but not there */
    http_response_page(&response, &request, folder);
    assert_int_equal(response.status, 404);
    http_response_deinit(&response);
    snprintf(path, sizeof(path), "%s/index.html", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/secret.key", folder);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_carry_code_message_and_retry_after),
        cmocka_unit_test(test_every_response_tells_browsers_to_be_strict),
        cmocka_unit_test(test_head_gets_the_length_and_no_body),
        cmocka_unit_test(test_page_is_built_in_and_known_by_its_etag),
        cmocka_unit_test(test_page_has_only_plain_files_of_known_types),
        cmocka_unit_test(test_page_comes_from_a_folder_when_one_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
