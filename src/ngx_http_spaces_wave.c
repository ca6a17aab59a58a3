
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_wave.h"
#include "ngx_http_spaces_tick.h"

#include "spaces_opus.h"
#include "spaces_wave.h"


#define NGX_HTTP_SPACES_WAVE_POINTS      1000
#define NGX_HTTP_SPACES_WAVE_MAX_POINTS  4096

/* a point is no less than a page of the recording, samples */
#define NGX_HTTP_SPACES_WAVE_PIXEL       4800

#define NGX_HTTP_SPACES_WAVE_SPEAKERS    256
#define NGX_HTTP_SPACES_WAVE_SEGMENTS    8192


typedef struct {
    ngx_http_request_t       *request;    /* NULL: it is gone */
    ngx_http_spaces_wave_e    kind;
    ngx_uint_t                shared;
    ngx_thread_task_t         task;

    int64_t                   start;      /* samples */
    int64_t                   end;
    int64_t                   samples;    /* of each point */
    size_t                    n;          /* points */

    off_t                     size;       /* of the file */
    ngx_err_t                 err;
    unsigned                  busy:1;

    u_char                    name[NGX_MAX_PATH];

    spaces_wave_talk_t        talk;
    spaces_wave_speaker_t     speakers[NGX_HTTP_SPACES_WAVE_SPEAKERS];
    spaces_wave_segment_t     segments[NGX_HTTP_SPACES_WAVE_SEGMENTS];
    uint8_t                   peaks[NGX_HTTP_SPACES_WAVE_MAX_POINTS];
} ngx_http_spaces_wave_t;


static ngx_uint_t ngx_http_spaces_wave_ends(ngx_http_request_t *r,
    const char *tail);
static ngx_http_spaces_wave_t *ngx_http_spaces_wave_create(
    ngx_http_request_t *r);
static void ngx_http_spaces_wave_task(void *data, ngx_log_t *log);
static int ngx_libc_cdecl ngx_http_spaces_wave_cmp(const void *one,
    const void *two);
static void ngx_http_spaces_wave_done(ngx_event_t *ev);
static ngx_int_t ngx_http_spaces_wave_answer(ngx_http_spaces_wave_t *wave);
static ngx_int_t ngx_http_spaces_wave_headers(ngx_http_spaces_wave_t *wave);
static ngx_int_t ngx_http_spaces_wave_answer_peaks(
    ngx_http_spaces_wave_t *wave);
static ngx_int_t ngx_http_spaces_wave_answer_speakers(
    ngx_http_spaces_wave_t *wave);
static ngx_int_t ngx_http_spaces_wave_answer_vtt(
    ngx_http_spaces_wave_t *wave);
static u_char *ngx_http_spaces_wave_time(u_char *p, int64_t samples);
static void ngx_http_spaces_wave_leave(void *data);


ngx_http_spaces_wave_e
ngx_http_spaces_wave_kind(ngx_http_request_t *r)
{
    if (ngx_http_spaces_wave_ends(r, "/replay/waveform")) {
        return ngx_http_spaces_wave_peaks;
    }

    if (ngx_http_spaces_wave_ends(r, "/replay/speakers.vtt")) {
        return ngx_http_spaces_wave_vtt;
    }

    if (ngx_http_spaces_wave_ends(r, "/replay/speakers")) {
        return ngx_http_spaces_accepts(r, "text/vtt")
               ? ngx_http_spaces_wave_vtt : ngx_http_spaces_wave_speakers;
    }

    return ngx_http_spaces_wave_none;
}


static ngx_uint_t
ngx_http_spaces_wave_ends(ngx_http_request_t *r, const char *tail)
{
    size_t  len;

    len = ngx_strlen(tail);

    return r->uri.len >= len
           && ngx_strncmp(r->uri.data + r->uri.len - len, tail, len) == 0;
}


ngx_int_t
ngx_http_spaces_wave_send(ngx_http_request_t *r, ngx_http_spaces_wave_e kind,
    ngx_http_spaces_span_t *span, ngx_uint_t shared)
{
    int64_t                       end;
    ngx_int_t                     rc, points;
    ngx_str_t                     value;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_wave_t       *wave;
    ngx_http_spaces_main_conf_t  *smcf;

    points = NGX_HTTP_SPACES_WAVE_POINTS;

    if (ngx_http_arg(r, (u_char *) "points", 6, &value) == NGX_OK) {
        points = ngx_atoi(value.data, value.len);

        if (points < 1 || points > NGX_HTTP_SPACES_WAVE_MAX_POINTS) {
            return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                           "\"points\" is a number from 1 to "
                                           "%d",
                                           NGX_HTTP_SPACES_WAVE_MAX_POINTS);
        }
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    wave = ngx_http_spaces_wave_create(r);
    if (wave == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    end = span->end ? span->end : ctx->space->duration;

    wave->kind = kind;
    wave->shared = shared;
    wave->start = span->start * (SPACES_OPUS_RATE / 1000);
    wave->end = end * (SPACES_OPUS_RATE / 1000);

    wave->samples = (wave->end - wave->start + points - 1) / points;
    wave->samples = ngx_max(wave->samples, NGX_HTTP_SPACES_WAVE_PIXEL);
    wave->n = (size_t) ((wave->end - wave->start + wave->samples - 1)
                        / wave->samples);

    if (ngx_thread_task_post(smcf->thread_pool, &wave->task) != NGX_OK) {
        return NGX_ERROR;
    }

    wave->busy = 1;
    ngx_http_spaces_tick_hold();

    return NGX_HTTP_SPACES_LATER;
}


static ngx_http_spaces_wave_t *
ngx_http_spaces_wave_create(ngx_http_request_t *r)
{
    ngx_str_t                     path;
    ngx_pool_cleanup_t           *cln;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_wave_t       *wave;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    path = ngx_http_spaces_recording_path(&smcf->path, &ctx->id, ".wave",
                                          r->pool);

    if (path.data == NULL || path.len >= NGX_MAX_PATH) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    /* a thread may be at work in it when the request is gone */

    wave = ngx_alloc(sizeof(ngx_http_spaces_wave_t), r->connection->log);
    if (wave == NULL) {
        return NULL;
    }

    ngx_memzero(wave, offsetof(ngx_http_spaces_wave_t, speakers));
    ngx_memcpy(wave->name, path.data, path.len + 1);

    wave->request = r;
    wave->task.ctx = wave;
    wave->task.handler = ngx_http_spaces_wave_task;
    wave->task.event.data = wave;
    wave->task.event.handler = ngx_http_spaces_wave_done;

    cln->handler = ngx_http_spaces_wave_leave;
    cln->data = wave;

    return wave;
}


static void
ngx_http_spaces_wave_task(void *data, ngx_log_t *log)
{
    int                      rc;
    ngx_fd_t                 fd;
    ngx_file_info_t          fi;
    spaces_wave_talk_t      *talk;
    ngx_http_spaces_wave_t  *wave = data;

    fd = ngx_open_file(wave->name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        wave->err = ngx_errno;
        return;
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        wave->err = ngx_errno;
        (void) ngx_close_file(fd);
        return;
    }

    wave->size = ngx_file_size(&fi);

    if (wave->kind == ngx_http_spaces_wave_peaks) {
        rc = spaces_wave_peaks(fd, wave->start, wave->samples, wave->peaks,
                               wave->n);

    } else {
        talk = &wave->talk;

        talk->speakers = wave->speakers;
        talk->max_speakers = NGX_HTTP_SPACES_WAVE_SPEAKERS;
        talk->segments = wave->segments;
        talk->max_segments = NGX_HTTP_SPACES_WAVE_SEGMENTS;

        rc = spaces_wave_talk(fd, wave->start, wave->end, talk);

        ngx_qsort(talk->segments, talk->nsegments,
                  sizeof(spaces_wave_segment_t), ngx_http_spaces_wave_cmp);
    }

    if (rc != 0) {
        wave->err = ngx_errno;
    }

    (void) ngx_close_file(fd);
}


static int ngx_libc_cdecl
ngx_http_spaces_wave_cmp(const void *one, const void *two)
{
    const spaces_wave_segment_t  *a = one;
    const spaces_wave_segment_t  *b = two;

    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }

    return a->speaker < b->speaker ? -1 : a->speaker > b->speaker;
}


static void
ngx_http_spaces_wave_done(ngx_event_t *ev)
{
    ngx_http_spaces_wave_t *wave = ev->data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    wave->busy = 0;
    ngx_http_spaces_tick_let_go();

    r = wave->request;

    if (r == NULL) {
        ngx_free(wave);
        return;
    }

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_spaces_continue(r, ngx_http_spaces_wave_answer(wave));
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_spaces_wave_answer(ngx_http_spaces_wave_t *wave)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = wave->request;

    if (wave->err == NGX_ENOENT) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_RECORDED,
                                       "no levels and speakers were kept of "
                                       "this recording");
    }

    if (wave->err) {
        ngx_http_spaces_log_error(NGX_LOG_ERR, r->connection->log, wave->err,
                                  "\"%s\" can't be read", wave->name);

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                       "it can't be read now");
    }

    if (ngx_http_spaces_wave_headers(wave) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_replay_condition(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    switch (wave->kind) {

    case ngx_http_spaces_wave_peaks:
        return ngx_http_spaces_wave_answer_peaks(wave);

    case ngx_http_spaces_wave_vtt:
        return ngx_http_spaces_wave_answer_vtt(wave);

    default:
        return ngx_http_spaces_wave_answer_speakers(wave);
    }
}


/* they are of the recording's bytes, and kept for as long as those */

static ngx_int_t
ngx_http_spaces_wave_headers(ngx_http_spaces_wave_t *wave)
{
    u_char                 *p;
    ngx_str_t               etag;
    ngx_http_request_t     *r;
    ngx_http_spaces_ctx_t  *ctx;

    r = wave->request;

    if (ngx_http_spaces_wave_ends(r, "/replay/speakers")
        && ngx_http_spaces_header_cstr(r, "Vary", "Accept") != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    p = ngx_pnalloc(r->pool, ctx->id.len + 5 * (2 * sizeof(int64_t) + 1)
                             + sizeof("\"\""));
    if (p == NULL) {
        return NGX_ERROR;
    }

    etag.data = p;
    etag.len = ngx_sprintf(p, "\"%V-%xi-%xO-%xL-%xL-%xL\"", &ctx->id,
                           (ngx_int_t) wave->kind, wave->size, wave->start,
                           wave->end, wave->samples)
               - p;

    return ngx_http_spaces_replay_headers(r, 0, -1, &etag, wave->shared);
}


/* as audiowaveform writes it; of a level, the two sides are the same */

static ngx_int_t
ngx_http_spaces_wave_answer_peaks(ngx_http_spaces_wave_t *wave)
{
    u_char              *p;
    size_t               i, len;
    ngx_str_t            body;
    ngx_http_request_t  *r;

    static ngx_str_t  type = ngx_string("application/json");

    r = wave->request;

    len = sizeof("{\"version\":2,\"channels\":1,\"sample_rate\":48000,"
                 "\"samples_per_pixel\":,\"bits\":8,\"length\":,"
                 "\"data\":[]}")
          + 2 * NGX_INT64_LEN + wave->n * sizeof("-127,127,");

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body.data = p;

    p = ngx_sprintf(p, "{\"version\":2,\"channels\":1,\"sample_rate\":48000,"
                    "\"samples_per_pixel\":%L,\"bits\":8,\"length\":%uz,"
                    "\"data\":[", wave->samples, wave->n);

    for (i = 0; i < wave->n; i++) {
        p = ngx_sprintf(p, "%s%d,%d", i ? "," : "",
                        -(ngx_int_t) wave->peaks[i], (int) wave->peaks[i]);
    }

    p = ngx_cpymem(p, "]}", 2);

    body.len = p - body.data;

    return ngx_http_spaces_send(r, NGX_HTTP_OK, &type, &body);
}


static ngx_int_t
ngx_http_spaces_wave_answer_speakers(ngx_http_spaces_wave_t *wave)
{
    size_t                  i;
    double                  rate;
    json_t                 *list, *segments, *json;
    ngx_str_t               id, name;
    spaces_wave_segment_t  *segment;
    spaces_wave_speaker_t  *speaker;

    static ngx_str_t  type = ngx_string("application/json");

    list = json_array();
    rate = SPACES_OPUS_RATE;

    for (i = 0; i < wave->talk.nspeakers; i++) {
        speaker = &wave->speakers[i];

        id.data = speaker->id;
        id.len = speaker->id_len;
        name.data = speaker->name;
        name.len = speaker->name_len;

        (void) json_array_append_new(list,
                     json_pack("{s:o, s:o, s:[]}",
                               "id", ngx_http_spaces_json_string(&id),
                               "name", ngx_http_spaces_json_string(&name),
                               "segments"));
    }

    for (i = 0; i < wave->talk.nsegments; i++) {
        segment = &wave->segments[i];

        segments = json_object_get(json_array_get(list, segment->speaker),
                                   "segments");

        (void) json_array_append_new(segments,
                     json_pack("[f, f]",
                               (double) (segment->start - wave->start) / rate,
                               (double) (segment->end - wave->start) / rate));
    }

    json = json_pack("{s:o}", "speakers", list);
    if (json == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_send_json(wave->request, NGX_HTTP_OK, &type, json);
}


/* WebVTT: a cue for each segment, in the speaker's voice */

static ngx_int_t
ngx_http_spaces_wave_answer_vtt(ngx_http_spaces_wave_t *wave)
{
    u_char                 *p;
    size_t                  i, j, len;
    ngx_str_t               body;
    ngx_http_request_t     *r;
    spaces_wave_segment_t  *segment;
    spaces_wave_speaker_t  *speaker;

    static ngx_str_t  type = ngx_string("text/vtt; charset=utf-8");

    r = wave->request;

    /* a name in a tag can't hold what ends one, nor a line's end */

    for (i = 0; i < wave->talk.nspeakers; i++) {
        speaker = &wave->speakers[i];

        for (j = 0; j < speaker->name_len; j++) {
            if (speaker->name[j] < 0x20 || speaker->name[j] == '<'
                || speaker->name[j] == '>' || speaker->name[j] == '&')
            {
                speaker->name[j] = ' ';
            }
        }
    }

    len = sizeof("WEBVTT\n");

    for (i = 0; i < wave->talk.nsegments; i++) {
        speaker = &wave->speakers[wave->segments[i].speaker];
        len += 2 * speaker->name_len + 2 * NGX_INT64_LEN
               + sizeof("\n:00:00.000 --> :00:00.000\n<v >\n");
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body.data = p;

    p = ngx_cpymem(p, "WEBVTT\n", sizeof("WEBVTT\n") - 1);

    for (i = 0; i < wave->talk.nsegments; i++) {
        segment = &wave->segments[i];
        speaker = &wave->speakers[segment->speaker];

        *p++ = '\n';
        p = ngx_http_spaces_wave_time(p, segment->start - wave->start);
        p = ngx_cpymem(p, " --> ", 5);
        p = ngx_http_spaces_wave_time(p, segment->end - wave->start);
        p = ngx_sprintf(p, "\n<v %*s>%*s\n",
                        (size_t) speaker->name_len, speaker->name,
                        (size_t) speaker->name_len, speaker->name);
    }

    body.len = p - body.data;

    return ngx_http_spaces_send(r, NGX_HTTP_OK, &type, &body);
}


static u_char *
ngx_http_spaces_wave_time(u_char *p, int64_t samples)
{
    int64_t  ms;

    ms = samples / (SPACES_OPUS_RATE / 1000);

    return ngx_sprintf(p, "%02L:%02L:%02L.%03L", ms / 3600000,
                       ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}


static void
ngx_http_spaces_wave_leave(void *data)
{
    ngx_http_spaces_wave_t *wave = data;

    wave->request = NULL;

    if (!wave->busy) {
        ngx_free(wave);
    }
}
