/* pii_kinds.c - what each kind of personal data is called. One row per PiiKind, in its order. */
#include "prep/pii.h"

static const PiiKindInfo kinds[PII_KINDS] = {
    [PII_EMAIL]       = { "email",       "EMAIL",       "an e-mail address" },
    [PII_PHONE]       = { "phone",       "PHONE",       "a telephone number" },
    [PII_URL_LOGIN]   = { "url_login",   "LOGIN",       "a user name and password inside an address" },
    [PII_IP]          = { "ip",          "IP",          "an Internet address" },
    [PII_MAC]         = { "mac",         "MAC",         "the address of a network card" },
    [PII_IBAN]        = { "iban",        "IBAN",        "a bank account (IBAN)" },
    [PII_BIC]         = { "bic",         "BIC",         "the code of a bank (BIC)" },
    [PII_CARD]        = { "card",        "CARD",        "a payment card number" },
    [PII_WALLET]      = { "wallet",      "WALLET",      "the address of a crypto wallet" },
    [PII_TAX_ID]      = { "tax_id",      "TAX_ID",      "a tax number" },
    [PII_SOCIAL_ID]   = { "social_id",   "SOCIAL_ID",   "a social security number" },
    [PII_HEALTH_ID]   = { "health_id",   "HEALTH_ID",   "a health insurance number" },
    [PII_NATIONAL_ID] = { "national_id", "NATIONAL_ID", "a national identity number" },
    [PII_ID_CARD]     = { "id_card",     "ID_CARD",     "the number of an identity card" },
    [PII_PASSPORT]    = { "passport",    "PASSPORT",    "the number of a passport" },
    [PII_DRIVER_ID]   = { "driver_id",   "DRIVER_ID",   "the number of a driving licence" },
    [PII_COMPANY_ID]  = { "company_id",  "COMPANY_ID",  "the register number of a company" },
    [PII_PLATE]       = { "plate",       "PLATE",       "a vehicle registration" },
    [PII_BIRTH_DATE]  = { "birth_date",  "BIRTH_DATE",  "a date of birth" },
    [PII_PERSON]      = { "person",      "PERSON",      "the name of a person" },
    [PII_ADDRESS]     = { "address",     "ADDRESS",     "a postal address" },
    [PII_POSTCODE]    = { "postcode",    "POSTCODE",    "a postcode" },
    [PII_PLACE]       = { "place",       "PLACE",       "the name of a place" },
    [PII_COORDINATES] = { "coordinates", "COORDINATES", "geographic coordinates" },
    [PII_SECRET]      = { "secret",      "SECRET",      "a key, token or password" },
};

const PiiKindInfo *pii_kind_info(PiiKind k)
{
    BUG_ON(k < 0 || k >= PII_KINDS);
    return &kinds[k];
}

bool pii_kind_find(Str name, PiiKind *k)
{
    for (int i = 0; i < PII_KINDS; i++)
        if (str_eqz(name, kinds[i].name)) {
            *k = (PiiKind)i;
            return true;
        }
    return false;
}
