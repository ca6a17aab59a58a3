
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_reconcile_task.h"


/* what a killed process left of a description it wrote goes after, s */
#define NGX_HTTP_SPACES_RECONCILE_TMP    60


static ngx_int_t ngx_http_spaces_reconcile_open(
    ngx_http_spaces_reconcile_t *rec);
static ngx_int_t ngx_http_spaces_reconcile_open_next(
    ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_entry(ngx_http_spaces_reconcile_t *rec,
    char *name);


void
ngx_http_spaces_reconcile_links(void *data, ngx_log_t *log)
{
    ngx_http_spaces_reconcile_t  *rec = data;

    if (rec->offset == 0) {
        ngx_http_spaces_revoked_trim(&rec->smcf->path, ngx_http_spaces_now());
    }

    rec->nrevoked = ngx_http_spaces_revoked_read(&rec->smcf->path,
                                                 &rec->offset, rec->revoked,
                                           NGX_HTTP_SPACES_RECONCILE_BATCH);
}


void
ngx_http_spaces_reconcile_read(void *data, ngx_log_t *log)
{
    struct dirent                *entry;
    ngx_http_spaces_reconcile_t  *rec = data;

    if (rec->folder == NULL && ngx_http_spaces_reconcile_open(rec) != NGX_OK) {
        rec->through = 1;
        return;
    }

    while (rec->nseen < NGX_HTTP_SPACES_RECONCILE_BATCH) {

        entry = readdir(rec->folder);

        if (entry) {
            ngx_http_spaces_reconcile_entry(rec, entry->d_name);
            continue;
        }

        (void) closedir(rec->folder);
        rec->folder = NULL;

        if (ngx_http_spaces_reconcile_open_next(rec) != NGX_OK) {
            rec->through = 1;
            return;
        }
    }
}


static ngx_int_t
ngx_http_spaces_reconcile_open(ngx_http_spaces_reconcile_t *rec)
{
    if (rec->step == ngx_http_spaces_reconcile_held) {
        ngx_sprintf((u_char *) rec->name, "%V/held%Z", &rec->smcf->path);

        rec->folder = opendir(rec->name);

        if (rec->folder == NULL) {
            rec->err = ngx_errno;
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    ngx_sprintf((u_char *) rec->name, "%V/recordings%Z", &rec->smcf->path);

    rec->top = opendir(rec->name);

    if (rec->top == NULL) {
        rec->err = ngx_errno;
        return NGX_ERROR;
    }

    return ngx_http_spaces_reconcile_open_next(rec);
}


/* NGX_DONE: there is none */

static ngx_int_t
ngx_http_spaces_reconcile_open_next(ngx_http_spaces_reconcile_t *rec)
{
    struct dirent  *entry;

    while (rec->top) {
        entry = readdir(rec->top);

        if (entry == NULL) {
            (void) closedir(rec->top);
            rec->top = NULL;
            break;
        }

        if (entry->d_name[0] == '.' || ngx_strlen(entry->d_name) != 2) {
            continue;
        }

        ngx_sprintf((u_char *) rec->name, "%V/recordings/%s%Z",
                    &rec->smcf->path, entry->d_name);

        rec->folder = opendir(rec->name);

        if (rec->folder) {
            return NGX_OK;
        }
    }

    return NGX_DONE;
}


static void
ngx_http_spaces_reconcile_entry(ngx_http_spaces_reconcile_t *rec, char *name)
{
    char                    *dot, path[NGX_MAX_PATH];
    ngx_str_t                id;
    struct stat              st;
    ngx_uint_t               audio;
    ngx_http_spaces_seen_t  *seen;

    id.data = (u_char *) name;
    id.len = NGX_HTTP_SPACES_ID_LEN;

    if (ngx_strlen(name) < NGX_HTTP_SPACES_ID_LEN + sizeof(".opus") - 1
        || !ngx_http_spaces_valid_id(&id))
    {
        return;
    }

    dot = name + NGX_HTTP_SPACES_ID_LEN;

    if (ngx_strcmp(dot, ".json.tmp") == 0) {

        if (fstatat(dirfd(rec->folder), name, &st, 0) == 0
            && time(NULL) - st.st_mtime > NGX_HTTP_SPACES_RECONCILE_TMP)
        {
            (void) unlinkat(dirfd(rec->folder), name, 0);
        }

        return;
    }

    audio = (ngx_strcmp(dot, ".opus") == 0);

    if (!audio && ngx_strcmp(dot, ".json") != 0) {
        return;
    }

    /* the other one of the pair */

    (void) snprintf(path, sizeof(path), "%.20s%s", name,
                    audio ? ".json" : ".opus");

    seen = &rec->seen[rec->nseen];

    seen->rec = rec;
    seen->held = (rec->step == ngx_http_spaces_reconcile_held);
    seen->odd = (faccessat(dirfd(rec->folder), path, F_OK, 0) == -1);

    ngx_memcpy(seen->id, name, NGX_HTTP_SPACES_ID_LEN);

    if (!audio && !seen->odd) {
        return;
    }

    if (audio && fstatat(dirfd(rec->folder), name, &st, 0) == 0) {

        if (seen->held) {
            rec->held++;
            rec->held_bytes += st.st_size;

        } else {
            rec->available++;
            rec->available_bytes += st.st_size;
        }
    }

    if (!seen->held) {

        /* it should have gone there */

        (void) snprintf(path, sizeof(path), "%.*s/held/%.20s.json",
                        (int) rec->smcf->path.len, rec->smcf->path.data, name);

        seen->odd |= (access(path, F_OK) == 0);
    }

    rec->nseen++;
}


void
ngx_http_spaces_reconcile_check(void *data, ngx_log_t *log)
{
    char                         *name, path[NGX_MAX_PATH];
    ngx_uint_t                    i;
    ngx_http_spaces_seen_t       *seen;
    ngx_http_spaces_reconcile_t  *rec = data;

    for (i = 0; i < rec->nseen; i++) {
        seen = &rec->seen[i];

        if (!seen->odd) {
            continue;
        }

        name = (char *) seen->id;

        if (seen->held) {
            (void) snprintf(path, sizeof(path), "%.*s/held/%.20s.json",
                            (int) rec->smcf->path.len, rec->smcf->path.data,
                            name);

        } else {
            (void) snprintf(path, sizeof(path), "%.*s/recordings/%.2s/"
                            "%.20s.opus", (int) rec->smcf->path.len,
                            rec->smcf->path.data, name, name);
        }

        seen->odd = (access(path, F_OK) == -1 && ngx_errno == NGX_ENOENT);
    }
}
