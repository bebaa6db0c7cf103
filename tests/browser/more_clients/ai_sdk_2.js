// The same program with the AI SDK that is installed here.
import "../clients/ai_sdk.js";
