/* Turns MongoDB's raw replies into lines of COPY's text format.
 *
 * A document is either written byte for byte as elt/readers/mongo_columns.py writes it, or
 * handed back as it is: with whatever is out of the ordinary Python deals. Nothing is read
 * before its length was held against the end of what encloses it.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char byte;

enum {
    BSON_DOUBLE = 0x01,
    BSON_STRING = 0x02,
    BSON_DOCUMENT = 0x03,
    BSON_ARRAY = 0x04,
    BSON_OBJECT_ID = 0x07,
    BSON_BOOL = 0x08,
    BSON_DATE = 0x09,
    BSON_NULL = 0x0A,
    BSON_INT32 = 0x10,
    BSON_INT64 = 0x12,
};

enum { MIN_DOCUMENT = 5, MAX_DEPTH = 32, MAX_KEYS = 64 };

/* The first and the last millisecond of the years that Python's datetime holds. */
#define MIN_DATE INT64_C(-62135596800000)
#define MAX_DATE INT64_C(253402300799999)
#define DAY_MS INT64_C(86400000)

typedef enum { TEXT, INTEGER, TIMESTAMP, NESTED, BOOLEAN, DOUBLE, OTHER } Kind;

typedef struct {
    const char *name;
    size_t length;
    Kind kind;
    int64_t min, max;
} Column;

/* The bytes of an element's value; type 0 where a document lacks the field. */
typedef struct {
    const byte *at;
    size_t size;
    byte type;
} Value;

typedef struct {
    char *data;
    size_t size, capacity;
    bool failed;
} Output;

static bool reserve(Output *out, size_t more)
{
    if (more <= out->capacity - out->size)
        return true;
    size_t capacity = out->capacity + out->capacity / 2 + more;
    char *data = PyMem_Realloc(out->data, capacity);
    if (data == NULL) {
        PyErr_NoMemory();
        out->failed = true;
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

static bool put(Output *out, const void *from, size_t size)
{
    if (!reserve(out, size))
        return false;
    memcpy(out->data + out->size, from, size);
    out->size += size;
    return true;
}

static bool put_char(Output *out, char c)
{
    return put(out, &c, 1);
}

static uint64_t load(const byte *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static int64_t load_int(const Value *value)
{
    return value->type == BSON_INT32 ? (int32_t)load(value->at, 4) : (int64_t)load(value->at, 8);
}

static double load_double(const byte *at)
{
    uint64_t bits = load(at, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Find the size of the value at `value->at`; false where it does not end before `stop`. */
static bool measure(Value *value, const byte *stop)
{
    size_t left = (size_t)(stop - value->at), before = 0;
    switch (value->type) {
    case BSON_NULL:
        value->size = 0;
        return true;
    case BSON_BOOL:
        value->size = 1;
        return left >= 1;
    case BSON_INT32:
        value->size = 4;
        return left >= 4;
    case BSON_DOUBLE:
    case BSON_DATE:
    case BSON_INT64:
        value->size = 8;
        return left >= 8;
    case BSON_OBJECT_ID:
        value->size = 12;
        return left >= 12;
    case BSON_STRING:
        before = 4;
        break;
    case BSON_DOCUMENT:
    case BSON_ARRAY:
        break;
    default:
        return false;
    }
    if (left < MIN_DOCUMENT)
        return false;
    int32_t length = (int32_t)load(value->at, 4);
    if (length < (before ? 1 : MIN_DOCUMENT))
        return false;
    value->size = before + (size_t)length;
    /* Strings and documents end with a zero. */
    return value->size <= left && value->at[value->size - 1] == 0;
}

/* The length of the UTF-8 sequence of a character beyond ASCII, or 0 where it is none. */
static size_t sequence(const byte *at, const byte *end)
{
    byte first = at[0];
    size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F) ||
        (first == 0xF0 && at[1] < 0x90) || (first == 0xF4 && at[1] > 0x8F))
        return 0;
    return length;
}

/* Whether all of eight characters are ASCII, and none is a control, a quote or a backslash. */
static bool eight_plain(const byte *at)
{
    const uint64_t each = UINT64_C(0x0101010101010101), high = each << 7;
    uint64_t text;
    memcpy(&text, at, 8);
    uint64_t quote = text ^ (each * '"'), backslash = text ^ (each * '\\');
    return ((text | (text - each * 0x20) | (quote - each) | (backslash - each)) & high) == 0;
}

static bool write_text(Output *out, const byte *at, const byte *end)
{
    const byte *start = at;
    while (at < end) {
        if (end - at >= 8 && eight_plain(at)) {
            at += 8;
        } else if (*at < 0x80) {
            if (*at == '\\' || *at == '\t' || *at == '\n' || *at == '\r' || *at == 0)
                return false;
            at++;
        } else {
            size_t length = sequence(at, end);
            if (length == 0)
                return false;
            at += length;
        }
    }
    return put(out, start, (size_t)(end - start));
}

/* A JSON string; COPY doubles its backslashes. */
static bool write_json_string(Output *out, const byte *at, const byte *end)
{
    static const char hex[] = "0123456789abcdef";
    if (!put_char(out, '"'))
        return false;
    while (at < end) {
        const byte *start = at;
        while (at < end) {
            if (end - at >= 8 && eight_plain(at)) {
                at += 8;
            } else if (*at < 0x80) {
                if (*at < 0x20 || *at == '"' || *at == '\\')
                    break;
                at++;
            } else {
                size_t length = sequence(at, end);
                if (length == 0)
                    return false;
                at += length;
            }
        }
        if (!put(out, start, (size_t)(at - start)))
            return false;
        if (at == end)
            break;
        byte c = *at++;
        char escape[] = {'\\', '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        size_t size = 3;
        switch (c) {
        case 0:
            return false;
        case '\b': escape[2] = 'b'; break;
        case '\t': escape[2] = 't'; break;
        case '\n': escape[2] = 'n'; break;
        case '\f': escape[2] = 'f'; break;
        case '\r': escape[2] = 'r'; break;
        case '"': escape[2] = '"'; break;
        case '\\':
            escape[2] = escape[3] = '\\';
            size = 4;
            break;
        default:
            size = sizeof escape;
        }
        if (!put(out, escape, size))
            return false;
    }
    return put_char(out, '"');
}

static bool write_int(Output *out, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        digits[--at] = '-';
    return put(out, digits + at, sizeof digits - at);
}

/* As repr() does. Numbers in [1e-4, 1e16) are the same in JSON; `plain` takes no others. */
static bool write_double(Output *out, double value, bool plain)
{
    double size = fabs(value);
    if (!isfinite(value) || (value == 0 && signbit(value)))
        return false;
    if (plain && value != 0 && !(size >= 1e-4 && size < 1e16))
        return false;
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        out->failed = true;
        return false;
    }
    bool written = put(out, text, strlen(text));
    PyMem_Free(text);
    return written;
}

static void digits(char *to, int count, unsigned value)
{
    while (count--) {
        to[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

static bool write_date(Output *out, int64_t milliseconds)
{
    if (milliseconds < MIN_DATE || milliseconds > MAX_DATE)
        return false;
    /* Days since 0000-03-01; H. Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
    int64_t since = milliseconds - MIN_DATE;
    unsigned day = (unsigned)(since / DAY_MS) + 306, rest = (unsigned)(since % DAY_MS);
    unsigned era = day / 146097, of_era = day % 146097;
    unsigned year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * of_year + 2) / 153;
    char text[26] = "0000-00-00T00:00:00.000000";
    digits(text, 4, era * 400 + year_of_era + (month >= 10));
    digits(text + 5, 2, month < 10 ? month + 3 : month - 9);
    digits(text + 8, 2, of_year - (153 * month + 2) / 5 + 1);
    digits(text + 11, 2, rest / 3600000);
    digits(text + 14, 2, rest / 60000 % 60);
    digits(text + 17, 2, rest / 1000 % 60);
    digits(text + 20, 3, rest % 1000);
    return put(out, text, rest % 1000 ? 26 : 19);
}

static bool write_json(Output *out, const Value *value, int depth);

/* An object or an array. A repeated key, or one with a meaning to BSON, is out of the ordinary. */
static bool write_nested(Output *out, const Value *value, int depth)
{
    struct {
        const byte *at;
        size_t length;
    } keys[MAX_KEYS];
    bool object = value->type == BSON_DOCUMENT;
    const byte *at = value->at + 4, *stop = value->at + value->size - 1;
    if (depth == MAX_DEPTH || !put_char(out, object ? '{' : '['))
        return false;
    for (size_t count = 0; at < stop; count++) {
        Value element = {.type = *at++};
        const byte *key = at, *zero = memchr(key, 0, (size_t)(stop - key));
        if (zero == NULL)
            return false;
        element.at = zero + 1;
        if (!measure(&element, stop) || (count && !put_char(out, ',')))
            return false;
        if (object) {
            size_t length = (size_t)(zero - key);
            if (count == MAX_KEYS || *key == '$')
                return false;
            for (size_t i = 0; i < count; i++)
                if (keys[i].length == length && memcmp(keys[i].at, key, length) == 0)
                    return false;
            keys[count].at = key;
            keys[count].length = length;
            if (!write_json_string(out, key, zero) || !put_char(out, ':'))
                return false;
        }
        if (!write_json(out, &element, depth + 1))
            return false;
        at = element.at + element.size;
    }
    return put_char(out, object ? '}' : ']');
}

static bool write_json(Output *out, const Value *value, int depth)
{
    switch (value->type) {
    case BSON_STRING:
        return write_json_string(out, value->at + 4, value->at + value->size - 1);
    case BSON_INT32:
    case BSON_INT64:
        return write_int(out, load_int(value));
    case BSON_DOUBLE:
        return write_double(out, load_double(value->at), true);
    case BSON_BOOL:
        if (*value->at > 1)
            return false;
        return *value->at ? put(out, "true", 4) : put(out, "false", 5);
    case BSON_NULL:
        return put(out, "null", 4);
    case BSON_DOCUMENT:
    case BSON_ARRAY:
        return write_nested(out, value, depth);
    default:
        return false;
    }
}

static bool write_value(Output *out, const Column *column, const Value *value)
{
    byte type = value->type;
    if (type == 0 || type == BSON_NULL)
        return put(out, "\\N", 2);
    switch (column->kind) {
    case TEXT:
        return type == BSON_STRING &&
               write_text(out, value->at + 4, value->at + value->size - 1);
    case INTEGER:
        if (type != BSON_INT32 && type != BSON_INT64)
            return false;
        int64_t number = load_int(value);
        return column->min <= number && number <= column->max && write_int(out, number);
    case TIMESTAMP:
        return type == BSON_DATE && write_date(out, (int64_t)load(value->at, 8));
    case NESTED:
        return (type == BSON_DOCUMENT || type == BSON_ARRAY) && write_nested(out, value, 0);
    case BOOLEAN:
        return type == BSON_BOOL && *value->at <= 1 && put_char(out, *value->at ? 't' : 'f');
    case DOUBLE:
        return type == BSON_DOUBLE && write_double(out, load_double(value->at), false);
    default:
        return false;
    }
}

/* The column of the name at `at`, or -1. Fields mostly stand in the order of the columns. */
static Py_ssize_t find(const Column *columns, Py_ssize_t count, Py_ssize_t expected,
                       const byte *at, const byte *stop)
{
    size_t left = (size_t)(stop - at);
    for (Py_ssize_t i = 0, column = expected; i < count; i++, column++) {
        if (column >= count)
            column = 0;
        size_t length = columns[column].length;
        /* With the zero that ends both. */
        if (length < left && memcmp(columns[column].name, at, length + 1) == 0)
            return column;
    }
    return -1;
}

/* One line; false where the document is out of the ordinary, or out->failed. */
static bool write_document(Output *out, const Column *columns, Py_ssize_t count, Value *values,
                           const byte *at, const byte *end)
{
    static const char hex[] = "0123456789abcdef";
    const byte *stop = end - 1;
    Py_ssize_t column = -1;
    if (*stop != 0)
        return false;
    memset(values, 0, (size_t)count * sizeof *values);
    for (at += 4; at < stop;) {
        Value value = {.type = *at++};
        column = find(columns, count, column + 1, at, stop);
        if (column < 0 || values[column].type != 0)
            return false;
        value.at = at + columns[column].length + 1;
        if (!measure(&value, stop))
            return false;
        values[column] = value;
        at = value.at + value.size;
    }
    if (values[0].type != BSON_OBJECT_ID || !reserve(out, 24))
        return false;
    for (int i = 0; i < 12; i++) {
        out->data[out->size++] = hex[values[0].at[i] >> 4];
        out->data[out->size++] = hex[values[0].at[i] & 15];
    }
    for (column = 1; column < count; column++)
        if (!put_char(out, '\t') || !write_value(out, &columns[column], &values[column]))
            return false;
    return put(out, "\t\\N\n", 4);
}

/* Write all documents of a reply; the number of lines, or -1 where the reply is cut wrongly
 * or a Python error is set. */
static Py_ssize_t write_reply(Output *out, const Column *columns, Py_ssize_t count,
                              Value *values, const byte *at, size_t left, PyObject *odd)
{
    Py_ssize_t rows = 0;
    while (left) {
        int32_t length = left < MIN_DOCUMENT ? 0 : (int32_t)load(at, 4);
        if (length < MIN_DOCUMENT || (size_t)length > left)
            return -1;
        size_t before = out->size;
        if (write_document(out, columns, count, values, at, at + length)) {
            rows++;
        } else {
            if (out->failed)
                return -1;
            out->size = before;
            PyObject *document = PyBytes_FromStringAndSize((const char *)at, length);
            int added = document == NULL ? -1 : PyList_Append(odd, document);
            Py_XDECREF(document);
            if (added < 0)
                return -1;
        }
        at += length;
        left -= (size_t)length;
    }
    return rows;
}

static bool read_column(PyObject *pair, Column *column)
{
    static const struct {
        const char *type;
        Kind kind;
        int bits;
    } types[] = {
        {"text", TEXT, 0},          {"smallint", INTEGER, 16},   {"integer", INTEGER, 32},
        {"bigint", INTEGER, 64},    {"timestamptz", TIMESTAMP, 0}, {"jsonb", NESTED, 0},
        {"boolean", BOOLEAN, 0},    {"double precision", DOUBLE, 0},
    };
    const char *type;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(pair, "s#s", &column->name, &length, &type))
        return false;
    if (strlen(column->name) != (size_t)length) {
        PyErr_SetString(PyExc_ValueError, "a field's name holds NUL");
        return false;
    }
    column->length = (size_t)length;
    column->kind = OTHER;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i].type) == 0) {
            column->kind = types[i].kind;
            column->max = (int64_t)(types[i].bits ? UINT64_MAX >> (65 - types[i].bits) : 0);
            column->min = -column->max - 1;
        }
    return true;
}

PyDoc_STRVAR(copy_lines_doc,
             "copy_lines(reply, columns): the lines, their number, and the documents left out");

static PyObject *copy_lines(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *reply, *pairs, *odd = NULL, *result = NULL;
    if (!PyArg_ParseTuple(arguments, "SO!:copy_lines", &reply, &PyTuple_Type, &pairs))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(pairs), rows;
    size_t size = (size_t)PyBytes_GET_SIZE(reply);
    Output out = {.capacity = size + 64};
    Column *columns = PyMem_Calloc((size_t)count + 1, sizeof *columns);
    Value *values = PyMem_Calloc((size_t)count + 1, sizeof *values);
    out.data = PyMem_Malloc(out.capacity);
    if (columns == NULL || values == NULL || out.data == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GET_ITEM(pairs, i);
        if (!PyTuple_Check(pair)) {
            PyErr_SetString(PyExc_TypeError, "columns are (name, type) pairs");
            goto done;
        }
        if (!read_column(pair, &columns[i]))
            goto done;
    }
    if (count == 0) {
        PyErr_SetString(PyExc_ValueError, "the first column is the key");
        goto done;
    }
    odd = PyList_New(0);
    if (odd == NULL)
        goto done;
    rows = write_reply(&out, columns, count, values, (const byte *)PyBytes_AS_STRING(reply),
                       size, odd);
    if (rows >= 0)
        result = Py_BuildValue("(y#nO)", out.data, (Py_ssize_t)out.size, rows, odd);
    else if (!PyErr_Occurred())
        result = Py_NewRef(Py_None);
done:
    Py_XDECREF(odd);
    PyMem_Free(columns);
    PyMem_Free(values);
    PyMem_Free(out.data);
    return result;
}

static PyMethodDef methods[] = {
    {"copy_lines", copy_lines, METH_VARARGS, copy_lines_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "bson_copy",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_bson_copy(void)
{
    return PyModule_Create(&module);
}
