
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_websocket.h"

#include <openssl/evp.h>
#include <wslay/wslay.h>


/* a peer silent for so long is asked, and after as long again given up, ms */
#define NGX_HTTP_SPACES_WS_SILENT  20000

/* who doesn't take what is sent isn't read from: bytes, and answers to pings */
#define NGX_HTTP_SPACES_WS_ANSWERS  65536
#define NGX_HTTP_SPACES_WS_PONGS    64

/* what a message may be in, for each piece is in memory of its own */
#define NGX_HTTP_SPACES_WS_PIECES   256

/* read at a time, before somebody else has a turn, bytes */
#define NGX_HTTP_SPACES_WS_TURN     65536

/* how long the frame of the end may take to be sent, ms */
#define NGX_HTTP_SPACES_WS_CLOSE   5000

/* the head of a frame that is sent, RFC 6455, 5.2: it has no mask, bytes */
#define NGX_HTTP_SPACES_WS_HEAD    10

/* what is sent with it at most, bytes */
#define NGX_HTTP_SPACES_WS_FIRST   1400


struct ngx_http_spaces_websocket_s {
    ngx_http_request_t                    *request;
    wslay_event_context_ptr                ctx;
    ngx_http_spaces_websocket_handlers_t  *handlers;
    void                                  *data;

    int64_t                                heard;     /* ms, monotonic */
    size_t                                 turn;      /* bytes of this one */
    ngx_uint_t                             pieces;    /* of the message */
    ngx_uint_t                             pongs;     /* not all are sent */

    /* of a frame whose payload follows: in one segment, and one TLS record */
    u_char                                 head[NGX_HTTP_SPACES_WS_HEAD];
    size_t                                 head_len;

    unsigned                               held:1;
    unsigned                               asked:1;
    unsigned                               closing:1;
    unsigned                               over:1;
    unsigned                               reading:1;
    unsigned                               stalled:1; /* more to be read */
};


static ngx_uint_t ngx_http_spaces_websocket_lists(ngx_http_request_t *r,
    const char *name, ngx_str_t *token);
static ngx_uint_t ngx_http_spaces_websocket_has(ngx_str_t *list,
    ngx_str_t *token);
static ngx_int_t ngx_http_spaces_websocket_answer(ngx_http_request_t *r,
    ngx_str_t *protocol);
static void ngx_http_spaces_websocket_cleanup(void *data);
static void ngx_http_spaces_websocket_read(ngx_http_request_t *r);
static void ngx_http_spaces_websocket_write(ngx_http_request_t *r);
static void ngx_http_spaces_websocket_flush(ngx_http_spaces_websocket_t *ws);
static ngx_uint_t ngx_http_spaces_websocket_even(
    ngx_http_spaces_websocket_t *ws);
static void ngx_http_spaces_websocket_over(ngx_http_spaces_websocket_t *ws);

static ssize_t ngx_http_spaces_websocket_recv_callback(
    wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags,
    void *data);
static ssize_t ngx_http_spaces_websocket_send_callback(
    wslay_event_context_ptr ctx, const uint8_t *buf, size_t len, int flags,
    void *data);
static ssize_t ngx_http_spaces_websocket_send_first(
    ngx_http_spaces_websocket_t *ws, const uint8_t *buf, size_t len);
static ssize_t ngx_http_spaces_websocket_send_bytes(
    ngx_http_spaces_websocket_t *ws, const uint8_t *buf, size_t len);
static void ngx_http_spaces_websocket_frame_callback(
    wslay_event_context_ptr ctx,
    const struct wslay_event_on_frame_recv_start_arg *arg, void *data);
static void ngx_http_spaces_websocket_message_callback(
    wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg,
    void *data);


ngx_uint_t
ngx_http_spaces_websocket_wanted(ngx_http_request_t *r)
{
    static ngx_str_t  websocket = ngx_string("websocket");

    return ngx_http_spaces_websocket_lists(r, "Upgrade", &websocket);
}


/* whether a header that may come several times lists the token */

static ngx_uint_t
ngx_http_spaces_websocket_lists(ngx_http_request_t *r, const char *name,
    ngx_str_t *token)
{
    ngx_table_elt_t  *h;

    for (h = ngx_http_spaces_find_header(r, name, NULL);
         h;
         h = ngx_http_spaces_find_header(r, name, h))
    {
        if (ngx_http_spaces_websocket_has(&h->value, token)) {
            return 1;
        }
    }

    return 0;
}


/* whether a list with commas has the token, in any case */

static ngx_uint_t
ngx_http_spaces_websocket_has(ngx_str_t *list, ngx_str_t *token)
{
    u_char  *p, *last, *start, *end;

    p = list->data;
    last = list->data + list->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        for (start = p; p < last && *p != ','; p++) { /* void */ }

        for (end = p; end > start && (end[-1] == ' ' || end[-1] == '\t');
             end--)
        {
            /* void */
        }

        if ((size_t) (end - start) == token->len
            && ngx_strncasecmp(start, token->data, token->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_spaces_websocket_accept(ngx_http_request_t *r, ngx_str_t *protocols,
    ngx_uint_t *protocol)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    static ngx_str_t  upgrade = ngx_string("upgrade");

    /* RFC 6455, 4.2.1 */

    h = ngx_http_spaces_find_header(r, "Sec-WebSocket-Version", NULL);

    if (r->method != NGX_HTTP_GET || r != r->main
        || r->http_version != NGX_HTTP_VERSION_11
        || h == NULL || h->value.len != 2
        || ngx_strncmp(h->value.data, "13", 2) != 0)
    {
        if (ngx_http_spaces_header_cstr(r, "Sec-WebSocket-Version", "13")
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "a WebSocket begins with GET, over "
                                       "HTTP/1.1, of version 13");
    }

    h = ngx_http_spaces_find_header(r, "Sec-WebSocket-Key", NULL);

    if (h == NULL || h->value.len != 24) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "there is no \"Sec-WebSocket-Key\"");
    }

    if (!ngx_http_spaces_websocket_lists(r, "Connection", &upgrade)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "\"Connection\" does not say "
                                       "\"upgrade\": a proxy in between has "
                                       "to pass it on");
    }

    /* what follows the header is frames */

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "a WebSocket begins without a body");
    }

    for (i = 0; protocols[i].len; i++) {

        if (ngx_http_spaces_websocket_lists(r, "Sec-WebSocket-Protocol",
                                            &protocols[i]))
        {
            *protocol = i;
            return NGX_DECLINED;
        }
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                   "ask for one of the subprotocols that are "
                                   "spoken here, such as \"%V\"",
                                   &protocols[0]);
}


ngx_http_spaces_websocket_t *
ngx_http_spaces_websocket_open(ngx_http_request_t *r, ngx_str_t *protocol,
    size_t max, ngx_http_spaces_websocket_handlers_t *handlers, void *data)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_websocket_t  *ws;

    static struct wslay_event_callbacks  callbacks = {
        ngx_http_spaces_websocket_recv_callback,
        ngx_http_spaces_websocket_send_callback,
        NULL,
        ngx_http_spaces_websocket_frame_callback,
        NULL,
        NULL,
        ngx_http_spaces_websocket_message_callback
    };

    ws = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_websocket_t));
    if (ws == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_spaces_websocket_cleanup;
    cln->data = ws;

    ws->request = r;
    ws->handlers = handlers;
    ws->data = data;
    ws->heard = ngx_http_spaces_monotonic();

    if (wslay_event_context_server_init(&ws->ctx, &callbacks, ws) != 0) {
        ws->ctx = NULL;
        return NULL;
    }

    wslay_event_config_set_max_recv_msg_length(ws->ctx, max);

    if (ngx_http_spaces_websocket_answer(r, protocol) != NGX_OK) {
        return NULL;
    }

    ngx_http_spaces_own_connection(r);

    /* what is said doesn't wait for the receipt of what was said before */

    if (ngx_tcp_nodelay(r->connection) != NGX_OK) {
        return NULL;
    }

    r->read_event_handler = ngx_http_spaces_websocket_read;
    r->write_event_handler = ngx_http_spaces_websocket_write;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ctx->websocket = ws;

    /* what came behind the handshake waits in the buffer of the header */

    ngx_post_event(r->connection->read, &ngx_posted_events);

    return ws;
}


static ngx_int_t
ngx_http_spaces_websocket_answer(ngx_http_request_t *r, ngx_str_t *protocol)
{
    u_char            digest[EVP_MAX_MD_SIZE];
    u_char           *key;
    ngx_int_t         rc;
    ngx_str_t         accept, src;
    unsigned int      len;
    ngx_table_elt_t  *h;

    static const char  guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    h = ngx_http_spaces_find_header(r, "Sec-WebSocket-Key", NULL);

    key = ngx_pnalloc(r->pool, h->value.len + sizeof(guid));
    accept.data = ngx_pnalloc(r->pool,
                              ngx_base64_encoded_length(EVP_MAX_MD_SIZE));

    if (key == NULL || accept.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(key, "%V%s", &h->value, guid);

    if (EVP_Digest(key, h->value.len + sizeof(guid) - 1, digest, &len,
                   EVP_sha1(), NULL)
        != 1)
    {
        return NGX_ERROR;
    }

    src.data = digest;
    src.len = len;

    ngx_encode_base64(&accept, &src);

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    r->keepalive = 0;

    if (ngx_http_spaces_header_cstr(r, "Upgrade", "websocket") != NGX_OK
        || ngx_http_spaces_header(r, "Sec-WebSocket-Accept", &accept)
           != NGX_OK
        || ngx_http_spaces_header(r, "Sec-WebSocket-Protocol", protocol)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_send_special(r, NGX_HTTP_FLUSH);

    /* the first few bytes of a connection's answer fit */

    return (rc == NGX_OK && !r->connection->buffered) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_spaces_websocket_cleanup(void *data)
{
    ngx_http_spaces_websocket_t  *ws = data;

    if (ws->ctx) {
        wslay_event_context_free(ws->ctx);
    }
}


ngx_int_t
ngx_http_spaces_websocket_send(ngx_http_spaces_websocket_t *ws,
    ngx_uint_t binary, const u_char *p, size_t len)
{
    struct wslay_event_msg  msg;

    if (ws->closing || ws->over) {
        return NGX_ERROR;
    }

    msg.opcode = binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME;
    msg.msg = p;
    msg.msg_length = len;

    if (wslay_event_queue_msg(ws->ctx, &msg) != 0) {
        return NGX_ERROR;
    }

    ngx_http_spaces_websocket_flush(ws);

    return NGX_OK;
}


size_t
ngx_http_spaces_websocket_backlog(ngx_http_spaces_websocket_t *ws)
{
    return wslay_event_want_write(ws->ctx)
           ? wslay_event_get_queued_msg_length(ws->ctx) + 1 : 0;
}


void
ngx_http_spaces_websocket_close(ngx_http_spaces_websocket_t *ws,
    ngx_uint_t code, const char *reason)
{
    ngx_connection_t  *c;

    if (ws->closing || ws->over) {
        return;
    }

    ws->closing = 1;
    c = ws->request->connection;

    (void) wslay_event_queue_close(ws->ctx, (uint16_t) code,
                                   (const uint8_t *) reason,
                                   ngx_strlen(reason));

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    ngx_add_timer(c->read, NGX_HTTP_SPACES_WS_CLOSE);

    ngx_http_spaces_websocket_flush(ws);
}


void
ngx_http_spaces_websocket_leave(ngx_http_spaces_websocket_t *ws,
    ngx_uint_t code, const char *reason)
{
    ngx_http_spaces_websocket_close(ws, code, reason);
    ngx_http_spaces_discard(ws->request->connection);
}


void
ngx_http_spaces_websocket_hold(ngx_http_spaces_websocket_t *ws)
{
    ws->held = 1;
}


void
ngx_http_spaces_websocket_let_go(ngx_http_spaces_websocket_t *ws)
{
    if (!ws->held) {
        return;
    }

    ws->held = 0;

    ngx_post_event(ws->request->connection->read, &ngx_posted_events);
}


void
ngx_http_spaces_websocket_check(ngx_http_spaces_websocket_t *ws, int64_t now)
{
    struct wslay_event_msg  ping;

    if (ws->closing || ws->over || ws->held
        || now < ws->heard + NGX_HTTP_SPACES_WS_SILENT)
    {
        return;
    }

    if (now >= ws->heard + 2 * NGX_HTTP_SPACES_WS_SILENT) {

        ngx_log_error(NGX_LOG_INFO, ws->request->connection->log, 0,
                      "WebSocket closed: its peer is silent");

        ngx_http_spaces_websocket_over(ws);
        return;
    }

    if (!ws->asked) {
        ws->asked = 1;

        ping.opcode = WSLAY_PING;
        ping.msg = NULL;
        ping.msg_length = 0;

        (void) wslay_event_queue_msg(ws->ctx, &ping);

        ngx_post_event(ws->request->connection->write, &ngx_posted_events);
    }
}


static void
ngx_http_spaces_websocket_read(ngx_http_request_t *r)
{
    int                           rc;
    ngx_connection_t             *c;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_websocket_t  *ws;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ws = ctx->websocket;

    if (ws->over || c->read->timedout) {
        ws->over = 1;

        /* the peer reads the frame of the end before it sees a reset */

        r->lingering_close = !c->error;

        ws->handlers->closed(ws->data);
        return;
    }

    ws->reading = 1;
    ws->stalled = 0;
    ws->turn = 0;

    rc = wslay_event_recv(ws->ctx);

    ws->reading = 0;

    if (rc != 0 && !c->error && ngx_http_spaces_websocket_even(ws)) {

        /* frames that break the rules: wslay has its answer ready */

        (void) wslay_event_send(ws->ctx);
    }

    if (rc != 0 || ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_spaces_websocket_over(ws);
    }

    ngx_http_spaces_websocket_flush(ws);
}


static void
ngx_http_spaces_websocket_write(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ngx_http_spaces_websocket_flush(ctx->websocket);
}


static void
ngx_http_spaces_websocket_flush(ngx_http_spaces_websocket_t *ws)
{
    ngx_connection_t  *c;

    c = ws->request->connection;

    /* what is answered to what is being read is sent when that is taken in */

    if (ws->reading || ws->over) {
        return;
    }

    if (wslay_event_want_write(ws->ctx)
        && !ngx_http_spaces_websocket_even(ws))
    {
        /* the frame that its user is in comes first */

        ws->handlers->writable(ws->data);

        if (ws->over || !ngx_http_spaces_websocket_even(ws)) {
            return;
        }
    }

    if (wslay_event_want_write(ws->ctx)) {

        if (wslay_event_send(ws->ctx) != 0) {
            ngx_http_spaces_websocket_over(ws);
            return;
        }

        if (wslay_event_want_write(ws->ctx)) {

            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_http_spaces_websocket_over(ws);
            }

            return;
        }
    }

    ws->pongs = 0;

    /* it has sent the frame of the end, its own or the answer to another */

    if (wslay_event_get_close_sent(ws->ctx)) {
        ngx_http_spaces_websocket_over(ws);
        return;
    }

    if (ws->stalled) {
        ngx_post_event(c->read, &ngx_posted_next_events);
    }

    if (ws->handlers->writable) {
        ws->handlers->writable(ws->data);
    }
}


static ngx_uint_t
ngx_http_spaces_websocket_even(ngx_http_spaces_websocket_t *ws)
{
    return ws->handlers->even == NULL || ws->handlers->even(ws->data);
}


void
ngx_http_spaces_websocket_drop(ngx_http_spaces_websocket_t *ws)
{
    ngx_http_spaces_websocket_over(ws);
}


/* told from the event loop, not in the middle of what its user does */

static void
ngx_http_spaces_websocket_over(ngx_http_spaces_websocket_t *ws)
{
    ws->over = 1;

    ngx_post_event(ws->request->connection->read, &ngx_posted_events);
}


static ssize_t
ngx_http_spaces_websocket_recv_callback(wslay_event_context_ptr ctx,
    uint8_t *buf, size_t len, int flags, void *data)
{
    ssize_t                       n;
    ngx_buf_t                    *b;
    ngx_connection_t             *c;
    ngx_http_spaces_websocket_t  *ws = data;

    c = ws->request->connection;

    if (ws->held || ws->over) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }

    if (ws->turn >= NGX_HTTP_SPACES_WS_TURN
        || ws->pongs >= NGX_HTTP_SPACES_WS_PONGS
        || wslay_event_get_queued_msg_length(ctx) > NGX_HTTP_SPACES_WS_ANSWERS)
    {
        ws->stalled = 1;
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }

    b = ws->request->header_in;

    if (b->pos < b->last) {
        n = ngx_min((size_t) (b->last - b->pos), len);

        ngx_memcpy(buf, b->pos, n);
        b->pos += n;

    } else {
        n = c->recv(c, buf, len);
    }

    if (n > 0) {
        ws->heard = ngx_http_spaces_monotonic();
        ws->asked = 0;
        ws->turn += n;
        ws->request->request_length += n;

        return n;
    }

    if (n == NGX_AGAIN) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);

    } else {
        c->error = 1;
        wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    }

    return -1;
}


static ssize_t
ngx_http_spaces_websocket_send_callback(wslay_event_context_ptr ctx,
    const uint8_t *buf, size_t len, int flags, void *data)
{
    ssize_t                       n;
    ngx_http_spaces_websocket_t  *ws = data;

    if ((flags & WSLAY_MSG_MORE) && len <= NGX_HTTP_SPACES_WS_HEAD) {
        ngx_memcpy(ws->head, buf, len);
        ws->head_len = len;

        return (ssize_t) len;
    }

    n = ws->head_len ? ngx_http_spaces_websocket_send_first(ws, buf, len)
                     : ngx_http_spaces_websocket_send_bytes(ws, buf, len);

    if (n > 0) {
        return n;
    }

    wslay_event_set_error(ctx, n == NGX_AGAIN ? WSLAY_ERR_WOULDBLOCK
                                              : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}


/* behind the head that waits: how much of the payload, NGX_AGAIN, NGX_ERROR */

static ssize_t
ngx_http_spaces_websocket_send_first(ngx_http_spaces_websocket_t *ws,
    const uint8_t *buf, size_t len)
{
    ssize_t  n;
    u_char   first[NGX_HTTP_SPACES_WS_HEAD + NGX_HTTP_SPACES_WS_FIRST];

    len = ngx_min(len, NGX_HTTP_SPACES_WS_FIRST);

    ngx_memcpy(first, ws->head, ws->head_len);
    ngx_memcpy(first + ws->head_len, buf, len);

    n = ngx_http_spaces_websocket_send_bytes(ws, first, ws->head_len + len);

    if (n < 0) {
        return n;
    }

    if ((size_t) n <= ws->head_len) {
        ws->head_len -= n;
        ngx_memmove(ws->head, ws->head + n, ws->head_len);

        return NGX_AGAIN;
    }

    n -= (ssize_t) ws->head_len;
    ws->head_len = 0;

    return n;
}


static ssize_t
ngx_http_spaces_websocket_send_bytes(ngx_http_spaces_websocket_t *ws,
    const uint8_t *buf, size_t len)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = ws->request->connection;

    if (!c->write->ready) {
        return NGX_AGAIN;
    }

    n = c->send(c, (u_char *) buf, len);

    if (n > 0) {
        return n;
    }

    if (n == NGX_AGAIN || n == 0) {
        return NGX_AGAIN;
    }

    c->error = 1;

    return NGX_ERROR;
}


static void
ngx_http_spaces_websocket_frame_callback(wslay_event_context_ptr ctx,
    const struct wslay_event_on_frame_recv_start_arg *arg, void *data)
{
    ngx_http_spaces_websocket_t  *ws = data;

    if (wslay_is_ctrl_frame(arg->opcode)) {
        ws->pongs += (arg->opcode == WSLAY_PING);
        return;
    }

    if (arg->opcode != WSLAY_CONTINUATION_FRAME) {
        ws->pieces = 0;
    }

    if (++ws->pieces > NGX_HTTP_SPACES_WS_PIECES) {
        wslay_event_shutdown_read(ctx);
        ngx_http_spaces_websocket_close(ws, WSLAY_CODE_MESSAGE_TOO_BIG,
                                        "a message in too many pieces");
    }
}


static void
ngx_http_spaces_websocket_message_callback(wslay_event_context_ptr ctx,
    const struct wslay_event_on_msg_recv_arg *arg, void *data)
{
    ngx_http_spaces_websocket_t  *ws = data;

    /* pings and the frame of the end are answered by wslay */

    if (wslay_is_ctrl_frame(arg->opcode) || ws->closing || ws->over) {
        return;
    }

    ws->handlers->message(ws->data, arg->opcode == WSLAY_BINARY_FRAME,
                          (u_char *) arg->msg, arg->msg_length);
}
